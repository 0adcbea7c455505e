"""The engine of every attack that optimises: starts, a step rule, restarts, the final choice.

What is minimised comes from `activations` and `gradients` (how far a candidate is from what was
observed) and from `priors` (how far it is from what is likely). All victims and all restarts are
moved together, and each is judged by the attack's own objective, never by the truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, final, runtime_checkable

import torch
from torch.autograd.function import once_differentiable

from leakaudit.api import Images, Progress

# ``objective(candidates, step)`` with candidates ``(restarts * victims, M, *spatial)``, restart
# after restart: one value per candidate. Step -1 always sees the same randomness.
Objective = Callable[[Images, int], torch.Tensor]


@runtime_checkable
class Separable(Protocol):
    """An objective that can be asked for one victim alone."""

    def __call__(self, candidates: Images, step: int) -> torch.Tensor:
        """One value per candidate."""

    def alone(self, victim: int) -> Objective:
        """Restrict the objective to candidates of that victim."""


@final
@dataclass(frozen=True, kw_only=True)
class StepRule:
    """How a candidate is moved.

    Args:
        kind: ``adam``; ``signed-adam``, which follows the signs of the gradient alone (Geiping et
            al. 2020); ``lbfgs`` with a strong-Wolfe line search, each candidate by itself on the
            logits of its intensities, under the same randomness at every step.
        learning_rate: of the first step, in units of image intensity for the first two.
        schedule: ``cosine`` to 0, ``constant``, or ``stairs``: a tenth after 3/8, 5/8 and 7/8 of
            the steps (Geiping et al. 2020).
    """

    kind: Literal["adam", "signed-adam", "lbfgs"] = "adam"
    learning_rate: float
    schedule: Literal["cosine", "constant", "stairs"] = "cosine"

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of a step."""
        if self.schedule == "constant":
            return self.learning_rate
        if self.schedule == "stairs":
            passed = sum(step >= steps * eighths / 8 for eighths in (3, 5, 7))
            return self.learning_rate * 0.1**passed
        return self.learning_rate * (1 + math.cos(math.pi * step / steps)) / 2


@final
@dataclass(frozen=True, kw_only=True)
class Found:
    """The end of a search, victim by victim.

    Args:
        images: ``(victims, M, *spatial)``, the candidate with the lowest objective.
        first: objective of the start that it came from.
        last: objective at ``images``, with the same randomness.
    """

    images: Images
    first: torch.Tensor
    last: torch.Tensor


def search(
    objective: Objective,
    starts: torch.Tensor,
    rule: StepRule,
    *,
    iterations: int,
    progress: Progress,
) -> Found:
    """Minimise from every start, and keep for each victim the end with the lowest objective.

    Args:
        objective: its sum is minimised; different victims must not depend on each other. For
            L-BFGS it must be `Separable`.
        starts: ``(restarts, victims, M, *spatial)``, values in [0, 1].
        rule: how to step; every candidate is kept in [0, 1].
        iterations: steps to take.
        progress: called after every step.

    Raises:
        TypeError: the rule is L-BFGS and the objective is not `Separable`.
    """
    restarts, victims = starts.shape[:2]
    flat = starts.flatten(0, 1)
    ends = _minimised(objective, starts, rule, iterations, progress)
    # Not under no_grad: matching gradients needs them to say how far a candidate is.
    first, last = (objective(each, -1).detach().view(restarts, victims) for each in (flat, ends))
    best, victim = _lowest(last), torch.arange(victims, device=last.device)
    return Found(
        images=ends.view_as(starts)[best, victim],
        first=first[best, victim],
        last=last[best, victim],
    )


def best_of(found: Sequence[Found]) -> tuple[Found, torch.Tensor]:
    """For each victim the result with the lowest objective of several, and which it is."""
    lasts = torch.stack([each.last for each in found])
    best, victim = _lowest(lasts), torch.arange(lasts.shape[1], device=lasts.device)
    return Found(
        images=torch.stack([each.images for each in found])[best, victim],
        first=torch.stack([each.first for each in found])[best, victim],
        last=lasts[best, victim],
    ), best


def weighted(*parts: tuple[float | torch.Tensor, Objective]) -> Objective:
    """The sum of objectives times their weights; a weight of exactly 0.0 leaves one out."""
    used = [(weight, part) for weight, part in parts if not isinstance(weight, float) or weight]

    def total(candidates: Images, step: int) -> torch.Tensor:
        values = [weight * part(candidates, step) for weight, part in used]
        return torch.stack(values).sum(dim=0)

    return total


def differentiable_once(
    values: torch.Tensor, at: torch.Tensor, slopes: torch.Tensor
) -> torch.Tensor:
    """``values``, one per candidate, whose gradient to ``at`` is ``slopes``.

    A caller that takes a part's gradient at once and says so frees the part's graph before the next
    is made: less memory, and what is in the cache is used while it is there.

    Args:
        values: ``(B,)``, without a graph.
        at: ``(B, ...)``, what they were computed from.
        slopes: their gradient there, of the shape of ``at``.

    Returns:
        ``values``, differentiable in ``at`` once.
    """
    result: torch.Tensor = _DifferentiableOnce.apply(values, at, slopes)  # type: ignore[no-untyped-call]
    return result


class _DifferentiableOnce(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, values: torch.Tensor, at: torch.Tensor, slopes: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(slopes)
        return values.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, torch.Tensor, None]:
        (slopes,) = ctx.saved_tensors
        return None, gradients[0].view(-1, *(1,) * (slopes.ndim - 1)) * slopes, None


def _lowest(values: torch.Tensor) -> torch.Tensor:
    """Index of the lowest along the first axis; what is not a number never wins."""
    return values.nan_to_num(nan=torch.inf).argmin(dim=0)


def _minimised(
    objective: Objective,
    starts: torch.Tensor,
    rule: StepRule,
    iterations: int,
    progress: Progress,
) -> Images:
    """The ends, ``(restarts * victims, M, *spatial)``."""
    if rule.kind == "lbfgs":
        return _minimised_one_by_one(objective, starts, rule, iterations, progress)
    candidate = starts.flatten(0, 1).detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([candidate], lr=rule.learning_rate)
    for step in range(iterations):
        optimizer.param_groups[0]["lr"] = rule.rate(step, iterations)
        (gradient,) = torch.autograd.grad(objective(candidate, step).sum(), candidate)
        candidate.grad = gradient.sign() if rule.kind == "signed-adam" else gradient
        optimizer.step()
        with torch.no_grad():
            candidate.clamp_(0, 1)
        progress(step + 1, iterations)
    return candidate.detach()


def _minimised_one_by_one(
    objective: Objective,
    starts: torch.Tensor,
    rule: StepRule,
    iterations: int,
    progress: Progress,
) -> Images:
    # A common line search would make a victim's figure depend on who else is attacked; clamping
    # behind the optimizer's back would spoil its curvature, hence logits.
    if not isinstance(objective, Separable):
        raise TypeError("L-BFGS needs an objective that can be asked for one victim alone")
    victims = starts.shape[1]
    flat = starts.flatten(0, 1)
    logits = [one.clamp(0.01, 0.99).logit()[None].requires_grad_() for one in flat]
    parts = [objective.alone(index % victims) for index in range(len(flat))]
    pairs = list(zip(logits, parts, strict=True))
    # torch drops a pair whose curvature is below 1e-10, and stops where little changes: both are
    # absolute, so every objective starts at 1e4.
    scales = [
        1e4 / part(logit.sigmoid(), -1).detach().abs().clamp_min(1e-30) for logit, part in pairs
    ]
    optimizers: list[Any] = [  # torch leaves the step of L-BFGS without types
        torch.optim.LBFGS(
            [logit],
            lr=rule.learning_rate,
            max_iter=1,
            tolerance_grad=1e-9,
            tolerance_change=1e-12,
            line_search_fn="strong_wolfe",
        )
        for logit in logits
    ]
    best = [math.inf] * len(logits)
    for step in range(iterations):
        for index, (optimizer, scale) in enumerate(zip(optimizers, scales, strict=True)):
            logit, part = pairs[index]
            optimizer.param_groups[0]["lr"] = rule.rate(step, iterations)

            def value(
                logit: torch.Tensor = logit, part: Objective = part, scale: torch.Tensor = scale
            ) -> torch.Tensor:
                total = (scale * part(logit.sigmoid(), -1)).sum()
                (logit.grad,) = torch.autograd.grad(total, logit)
                return total.detach()

            reached = float(optimizer.step(value))
            if not reached < best[index]:  # a line search that fails once fails for ever
                optimizer.state.clear()
            best[index] = min(best[index], reached)
        progress(step + 1, iterations)
    return torch.cat([one.detach().sigmoid() for one in logits])
