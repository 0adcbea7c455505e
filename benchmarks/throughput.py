"""What the engine of the attacks costs beside loops written by hand, as ratios within one run.

Run: python benchmarks/throughput.py

Every step of the engine is followed by the same step written by hand, on one thread, in processor
time, on images of the same kind; printed is the median of the ratios. Network: sites of two
modalities, features (16, 16, 32, 64, 128, 16), cut at level 2. Activation inversion is held against
a forward and backward pass of the encoders with respect to their input and nothing else, gradient
inversion against a double-backward loop over the victims (cosine and Adam, no total variation), and
eight restarts in one batch against eight searches in turn: there batching saves calls, not
arithmetic, so that it gains the more the smaller the images. The limit is held at 64 pixels, the
size of the embedded audit. Exits with 1 if a limit is missed. The machine should be idle otherwise:
neighbours in its caches move the ratios by some hundredths.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from leakaudit.contracts import Defense, Observation
from leakaudit.data import Patient
from leakaudit.target.split_unet import SplitUNetSpec
from leakaudit.target.training import build
from leakaudit.threat.observing import observe
from leakaudit.threat.presets import threat_named
from leakaudit.threat.system import System
from leakaudit_attacks.activation_inversion import ActivationInversion
from leakaudit_attacks.gradient_inversion import GradientInversion
from leakaudit_attacks.optimising.engine import Objective, StepRule, search
from leakaudit_defenses.activation_dropout import ActivationDropout
from leakaudit_defenses.identity import Identity

FEATURES = (16, 16, 32, 64, 128, 16)
VICTIMS = 5
RESTARTS = 8
ACTIVATIONS_LIMIT, GRADIENTS_LIMIT, RESTARTS_LIMIT = 1.15, 1.05, 1.5

Step = Callable[[], None]


def observed(threat: str, size: int, victims: int, defense: Defense | None = None) -> Observation:
    """What the threat grants on an untrained network cut at level 2, of patients of pure noise."""
    rng = np.random.default_rng(0)
    patients = [
        Patient(
            id=str(number),
            images=rng.random((1, 4, size, size), dtype=np.float32),
            masks=np.ones((1, size, size), dtype=np.int8),
        )
        for number in range(victims + 2)
    ]
    spec = SplitUNetSpec(channels=(2, 2), cut_level=2, shared_skips=(0, 1), features=FEATURES)
    system = System(
        network=build(spec, 1).eval(),
        initial=build(spec, 0).eval(),
        defense=defense or Identity(),
        seed=0,
        device=torch.device("cpu"),
    )
    return observe(
        threat_named(threat),
        system,
        victims=patients[:victims],
        auxiliary=patients[victims:],
        releases=1,
    )


def engine_over_hand(
    objective: Objective, starts: torch.Tensor, by_hand: Step, iterations: int
) -> float:
    """Median ratio of an iteration of the engine to the step by hand that follows it."""
    ratios: list[float] = []
    mark = time.process_time()

    def between(done: int, total: int) -> None:
        nonlocal mark
        after = time.process_time()
        by_hand()
        ended = time.process_time()
        ratios.append((after - mark) / (ended - after))
        mark = ended

    rule = StepRule(learning_rate=0.05)
    search(objective, starts, rule, iterations=iterations, progress=between)
    # The first steps also hold the engine's preparations and warm the caches up.
    return statistics.median(ratios[3:])


def bare_pass(observation: Observation, images: torch.Tensor) -> Step:
    """Forward and backward of the encoders with respect to their input, and nothing else."""
    views = [view.clone().requires_grad_() for view in observation.layout.views(images)]

    def step() -> None:
        for encoder, view in zip(observation.encoders, views, strict=True):
            levels = encoder(view)
            torch.autograd.grad(levels, view, [torch.ones_like(level) for level in levels])

    return step


def double_backward(observation: Observation, images: torch.Tensor) -> Step:
    """The gradients of the weights, their cosine to the observed ones, back to the images: Adam."""
    release, returned = observation.weight_gradients[1], observation.cut_gradients[1]
    encoders: list[nn.Module] = [encoder.requires_grad_() for encoder in release.encoders]
    parameters = [p for encoder in encoders for p in encoder.parameters()]
    candidate = images.clone().requires_grad_()
    optimizer = torch.optim.Adam([candidate], lr=0.02)

    def step() -> None:
        optimizer.zero_grad()
        loss = torch.zeros(())
        for victim, gradient in enumerate(release.gradients):
            views = observation.layout.views(candidate[victim : victim + 1])
            levels = [level for e, v in zip(encoders, views, strict=True) for level in e(v)]
            sent = [level[victim : victim + 1] for site in returned for level in site]
            found = torch.autograd.grad(levels, parameters, sent, create_graph=True)
            dot = sum((a * b).sum() for a, b in zip(found, gradient, strict=True))
            squares = [sum(a.square().sum() for a in each) for each in (found, gradient)]
            loss = loss + 1 - dot / (torch.as_tensor(squares[0] * squares[1])).sqrt()
        candidate.grad = torch.autograd.grad(loss, candidate)[0]
        optimizer.step()
        with torch.no_grad():
            candidate.clamp_(0, 1)

    return step


def in_turn_over_batched(objective: Objective, starts: torch.Tensor, rounds: int) -> float:
    """Median seconds of eight searches of one restart over those of one search of eight."""
    rule = StepRule(learning_rate=0.05)

    def seconds(each: torch.Tensor) -> float:
        marks: list[float] = []
        search(
            objective,
            each,
            rule,
            iterations=4,
            progress=lambda done, total: marks.append(time.process_time()),
        )
        return statistics.median(np.diff(marks).tolist())

    batched, in_turn = [], []
    for _ in range(rounds):
        batched.append(seconds(starts))
        in_turn.append(sum(seconds(one[None]) for one in starts))
    return statistics.median(in_turn) / statistics.median(batched)


def main() -> int:
    """Print every ratio beside its limit; 1 if one is missed."""
    torch.set_num_threads(1)
    missed = 0

    def report(what: str, ratio: float, limit: str, held: bool) -> None:
        nonlocal missed
        missed += not held
        print(f"{what:<62}{ratio:6.2f}   {limit}{'' if held else '  MISSED'}", flush=True)

    generator = torch.Generator().manual_seed(0)
    for defense in (Identity(), ActivationDropout()):
        seen = observed("curious-server-with-encoder", 96, VICTIMS, defense)
        images = torch.rand(seen.layout.image_shape, generator=generator)
        objective = ActivationInversion().objective(seen)
        ratio = engine_over_hand(objective, images[None], bare_pass(seen, images), 40)
        bound = ACTIVATIONS_LIMIT if isinstance(defense, Identity) else None
        report(
            f"activation inversion at 96 px, {defense!r} / bare pass",
            ratio,
            f"at most {bound}" if bound else "no limit",
            bound is None or ratio <= bound,
        )
    seen = observed("aggregator", 96, VICTIMS)
    images = torch.rand(seen.layout.image_shape, generator=generator)
    objective = GradientInversion().objective(seen, 1, generator)
    ratio = engine_over_hand(objective, images[None], double_backward(seen, images), 40)
    report(
        "gradient inversion at 96 px / double-backward loop",
        ratio,
        f"at most {GRADIENTS_LIMIT}",
        ratio <= GRADIENTS_LIMIT,
    )
    for size in (96, 64):
        bound = RESTARTS_LIMIT if size == 64 else None
        activations = observed("curious-server-with-encoder", size, 1)
        gradients = observed("aggregator", size, 1)
        objectives = {
            "activation": ActivationInversion().objective(activations),
            "gradient": GradientInversion().objective(gradients, 1, generator),
        }
        starts = torch.rand((RESTARTS, *gradients.layout.image_shape), generator=generator)
        for name, objective in objectives.items():
            ratio = in_turn_over_batched(objective, starts, 9)
            report(
                f"{name} inversion at {size} px, {RESTARTS} restarts in turn / batched",
                ratio,
                f"at least {bound}" if bound else "no limit",
                bound is None or ratio >= bound,
            )
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
