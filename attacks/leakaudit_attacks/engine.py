"""The engine of every attack that optimises: starts, a step rule, restarts, the final choice.

What is minimised comes from `activations` and `gradients` (how far a candidate is from what was
observed) and from `priors` (how far it is from what is likely). All victims and all restarts are
moved in one batch, and each is judged by the attack's own objective, never by the truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import torch

from leakaudit.api import Images, Progress

# ``objective(candidates, step)`` with candidates ``(restarts * victims, M, *spatial)``, restart
# after restart: one value per candidate. Step -1 always sees the same randomness.
Objective = Callable[[Images, int], torch.Tensor]


@final
@dataclass(frozen=True, kw_only=True)
class StepRule:
    """How a candidate is moved.

    Args:
        kind: ``adam``; ``signed-adam``, which follows the signs of the gradient alone (Geiping et
            al. 2020); ``lbfgs`` with a strong-Wolfe line search over all candidates together.
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
    """What a search ends with, victim by victim.

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
        objective: its sum is minimised, which leaves the candidates independent of each other.
        starts: ``(restarts, victims, M, *spatial)``, values in [0, 1].
        rule: how to step; every candidate is kept in [0, 1].
        iterations: steps to take.
        progress: called after every step.
    """
    restarts, victims = starts.shape[:2]
    flat = starts.flatten(0, 1)
    ends = _minimised(objective, flat, rule, iterations, progress)
    # Not under no_grad: matching gradients needs them to say how far a candidate is.
    first, last = (objective(each, -1).detach().view(restarts, victims) for each in (flat, ends))
    best, victim = last.argmin(dim=0), torch.arange(victims, device=last.device)
    return Found(
        images=ends.view_as(starts)[best, victim],
        first=first[best, victim],
        last=last[best, victim],
    )


def best_of(found: Sequence[Found]) -> tuple[Found, torch.Tensor]:
    """For each victim the result with the lowest objective of several, and which it is."""
    lasts = torch.stack([each.last for each in found])
    best, victim = lasts.argmin(dim=0), torch.arange(lasts.shape[1], device=lasts.device)
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


def _minimised(
    objective: Objective, start: Images, rule: StepRule, iterations: int, progress: Progress
) -> Images:
    candidate = start.detach().clone().requires_grad_()
    optimizer: Any  # torch leaves the step of L-BFGS, which needs its closure, without types
    if rule.kind == "lbfgs":
        optimizer = torch.optim.LBFGS(
            [candidate], lr=rule.learning_rate, max_iter=1, line_search_fn="strong_wolfe"
        )
    else:
        optimizer = torch.optim.Adam([candidate], lr=rule.learning_rate)
    for step in range(iterations):
        optimizer.param_groups[0]["lr"] = rule.rate(step, iterations)

        def value(step: int = step) -> torch.Tensor:
            total = objective(candidate, step).sum()
            (gradient,) = torch.autograd.grad(total, candidate)
            candidate.grad = gradient.sign() if rule.kind == "signed-adam" else gradient
            return total.detach()

        if rule.kind == "lbfgs":
            optimizer.step(value)
        else:
            value()
            optimizer.step()
        with torch.no_grad():
            candidate.clamp_(0, 1)
        progress(step + 1, iterations)
    return candidate.detach()
