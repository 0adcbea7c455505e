"""The parts of the optimising attacks, each by itself."""

from __future__ import annotations

import math

import pytest
import torch

from leakaudit.api import Capability, Observation, SystemLayout
from leakaudit.target.training import build
from leakaudit_attacks.optimising.engine import Found, StepRule, best_of, search, weighted
from leakaudit_attacks.optimising.priors import (
    NormalisationStatistics,
    anisotropic_total_variation,
    distance_to,
    group_distance,
    mean_square,
    total_variation,
)
from leakaudit_attacks.optimising.starts import disturbed, noise_images, start_image
from leakaudit_defenses.identity import Identity
from tests.tiny import tiny_observation, tiny_patients, tiny_spec

LAYOUT = SystemLayout(
    channels=(2, 2), crossing=(0, 1), features=(4, 4, 4, 8, 8, 4), spatial=(32, 32), victims=2
)


def quietly(done: int, total: int) -> None:
    pass


# --- engine ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule",
    [
        StepRule(learning_rate=0.05),
        StepRule(learning_rate=0.05, schedule="stairs"),
        StepRule(kind="signed-adam", learning_rate=0.05),
    ],
    ids=lambda rule: f"{rule.kind}-{rule.schedule}",
)
def test_a_search_stays_in_the_box_and_reaches_the_nearest_point(rule: StepRule) -> None:
    wanted = torch.tensor([-1.0, 0.25, 2.0]).view(3, 1, 1)
    starts = torch.full((1, 3, 1, 1), 0.5)
    found = search(
        lambda images, step: (images - wanted).square().flatten(1).sum(dim=1),
        starts,
        rule,
        iterations=200,
        progress=quietly,
    )
    torch.testing.assert_close(
        found.images.flatten(), torch.tensor([0.0, 0.25, 1.0]), atol=2e-3, rtol=0
    )
    assert bool((starts == 0.5).all()), "the start is left as it was"
    torch.testing.assert_close(found.first, torch.tensor([2.25, 0.0625, 2.25]))
    torch.testing.assert_close(found.last, torch.tensor([1.0, 0.0, 1.0]), atol=1e-4, rtol=0)


class LeastSquares:
    """Each victim's own 9 equations in 9 unknowns, whose solution may lie outside the box."""

    def __init__(self, victims: list[int]) -> None:
        self.victims = victims
        generator = torch.Generator().manual_seed(0)
        self.matrices = torch.randn(4, 9, 9, generator=generator)
        self.sides = 2 * torch.randn(4, 9, generator=generator)

    def __call__(self, candidates: torch.Tensor, step: int) -> torch.Tensor:
        flat = candidates.flatten(1)
        chosen = [self.victims[index % len(self.victims)] for index in range(len(flat))]
        apart = (self.matrices[chosen] @ flat[..., None])[..., 0] - self.sides[chosen]
        return apart.square().sum(dim=1)

    def alone(self, victim: int) -> LeastSquares:
        return LeastSquares([self.victims[victim]])


@pytest.mark.slow
def test_l_bfgs_reaches_the_optimum_in_the_box_and_no_victim_depends_on_another() -> None:
    rule = StepRule(kind="lbfgs", learning_rate=1.0, schedule="constant")
    starts = torch.full((1, 4, 1, 3, 3), 0.5)
    objective = LeastSquares([0, 1, 2, 3])
    found = search(objective, starts, rule, iterations=150, progress=quietly)
    slow = StepRule(learning_rate=0.02)
    reference = search(objective, starts, slow, iterations=3000, progress=quietly)
    torch.testing.assert_close(found.last, reference.last, rtol=2e-3, atol=1e-3)
    for victim in range(4):
        alone = search(
            objective.alone(victim), starts[:, :1], rule, iterations=150, progress=quietly
        )
        assert torch.equal(alone.images[0], found.images[victim])


def test_l_bfgs_asks_for_an_objective_that_can_be_taken_apart() -> None:
    rule = StepRule(kind="lbfgs", learning_rate=1.0)
    starts = torch.ones(1, 1, 1, 1)
    with pytest.raises(TypeError, match="for one victim alone"):
        search(lambda images, step: images, starts, rule, iterations=1, progress=quietly)


def test_what_is_not_a_number_never_wins() -> None:
    def broken(images: torch.Tensor, step: int) -> torch.Tensor:
        values = images.flatten(1).sum(dim=1)
        return torch.where(torch.arange(len(values)) == 0, torch.nan, values)

    starts = torch.tensor([0.1, 0.2, 0.9, 0.9]).view(2, 2, 1, 1)
    rule = StepRule(learning_rate=0.0)
    found = search(broken, starts, rule, iterations=1, progress=quietly)
    assert found.images.flatten().tolist() == pytest.approx([0.9, 0.2])
    nan = Found(images=torch.zeros(1, 1, 1), first=torch.ones(1), last=torch.tensor([torch.nan]))
    fine = Found(images=torch.ones(1, 1, 1), first=torch.ones(1), last=torch.ones(1))
    assert best_of([nan, fine])[1].tolist() == [1]


def test_each_victim_keeps_the_restart_with_the_lowest_objective() -> None:
    # Two valleys, at 0.2 and 0.8; the deeper one is another for each of the two victims.
    depth = torch.tensor([[0.0, 0.1], [0.1, 0.0]])

    def valleys(images: torch.Tensor, step: int) -> torch.Tensor:
        x = images.view(-1, 2, 1)
        costs = (x - torch.tensor([0.2, 0.8])).square() + depth
        return costs.amin(dim=2).flatten()

    starts = torch.tensor([0.1, 0.1, 0.9, 0.9]).view(2, 2, 1, 1)
    rule = StepRule(learning_rate=0.02)
    found = search(valleys, starts, rule, iterations=150, progress=quietly)
    torch.testing.assert_close(found.images.flatten(), torch.tensor([0.2, 0.8]), atol=5e-3, rtol=0)
    torch.testing.assert_close(found.first, torch.tensor([0.01, 0.01]))


def test_restarts_are_independent_of_each_other() -> None:
    def cost(images: torch.Tensor, step: int) -> torch.Tensor:
        return (images - 0.3).square().flatten(1).sum(dim=1)

    generator = torch.Generator().manual_seed(0)
    starts = torch.rand(3, 2, 1, 4, 4, generator=generator)
    rule = StepRule(learning_rate=0.05)
    together = search(cost, starts, rule, iterations=5, progress=quietly)
    alone = [search(cost, each[None], rule, iterations=5, progress=quietly) for each in starts]
    found, best = best_of(alone)
    assert torch.equal(together.images, found.images)
    assert torch.equal(together.last, found.last)
    assert best.shape == (2,)


def test_the_best_of_several_is_chosen_for_each_victim() -> None:
    first = Found(images=torch.zeros(2, 1, 1), first=torch.ones(2), last=torch.tensor([0.1, 0.9]))
    second = Found(
        images=torch.ones(2, 1, 1), first=2 * torch.ones(2), last=torch.tensor([0.5, 0.2])
    )
    found, best = best_of([first, second])
    assert best.tolist() == [0, 1]
    assert found.images.flatten().tolist() == [0, 1]
    assert found.first.tolist() == [1, 2]


def test_schedules() -> None:
    cosine = StepRule(learning_rate=1.0)
    assert [cosine.rate(step, 4) for step in (0, 2)] == [1.0, pytest.approx(0.5)]
    stairs = StepRule(learning_rate=1.0, schedule="stairs")
    rates = [stairs.rate(step, 8) for step in range(8)]
    assert rates == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.001])
    assert StepRule(learning_rate=1.0, schedule="constant").rate(7, 8) == 1.0


def test_a_part_without_weight_is_not_computed() -> None:
    def fails(images: torch.Tensor, step: int) -> torch.Tensor:
        raise AssertionError("computed")

    total = weighted((2.0, lambda images, step: images.flatten(1).sum(dim=1)), (0.0, fails))
    assert total(torch.ones(3, 1, 2), 0).tolist() == [4.0] * 3


# --- priors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 2, 5, 7), (2, 1, 4, 5, 6)], ids=["2D", "3D"])
def test_the_slope_of_total_variation_is_that_of_its_formula(shape: tuple[int, ...]) -> None:
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    images.requires_grad_()
    assert torch.autograd.gradcheck(total_variation, (images,))
    square = torch.full_like(images, 1e-6)
    for axis in range(2, images.ndim):
        last = images.narrow(axis, images.shape[axis] - 1, 1)
        square = square + images.diff(dim=axis, append=last).square()
    torch.testing.assert_close(total_variation(images), square.sqrt().flatten(1).mean(dim=1))


def test_total_variation_is_that_of_a_step_edge() -> None:
    flat = torch.full((1, 1, 8, 8), 0.5)
    edge = torch.zeros(1, 1, 8, 8)
    edge[..., 4:] = 1
    # The root is smoothed by 1e-6, so that flat costs 1e-3; an edge costs 1 in one of 8 columns.
    assert float(total_variation(flat)) == pytest.approx(1e-3)
    assert float(total_variation(edge)) == pytest.approx(1 / 8, abs=2e-3)
    # Between neighbours: one of seven steps.
    assert float(anisotropic_total_variation(flat)) == 0
    assert float(anisotropic_total_variation(edge)) == pytest.approx(1 / 7)


def test_distances() -> None:
    images = torch.tensor([0.0, 0.5, 1.0, 0.5]).view(4, 1, 1, 1)
    assert mean_square(images).tolist() == [0, 0.25, 1, 0.25]
    assert distance_to(torch.full((1, 1, 1, 1), 0.5), images).tolist() == [0.25, 0, 0.25, 0]
    # Two victims, two restarts: the first victim's are 0 and 1, the second's agree.
    assert group_distance(images, 2).tolist() == [0.25, 0, 0.25, 0]


def test_usual_statistics_cost_nothing_and_others_do() -> None:
    encoders = build(tiny_spec(), 0).eval().requires_grad_(False).encoders
    generator = torch.Generator().manual_seed(0)
    usual = torch.rand(1, 4, 32, 32, generator=generator)
    cost = NormalisationStatistics(list(encoders), LAYOUT, usual)
    images = torch.cat([usual, usual.flip(-1), 0.2 * usual]).requires_grad_()
    found = cost(images)
    values = found.detach()
    assert values.shape == (3,)
    assert float(values[0]) == pytest.approx(0, abs=1e-10)
    assert float(values[2]) > 100 * float(values[0].abs()) + 1e-3
    (gradient,) = torch.autograd.grad(found.sum(), images)
    assert bool(gradient.isfinite().all())
    assert bool(gradient[2].any())
    # Nothing is left behind on the encoders, which are the observation's.
    assert not any(module._forward_pre_hooks for module in encoders.modules())


# --- starts ---------------------------------------------------------------------------------


def observation() -> Observation:
    return tiny_observation(
        "curious-server",
        Identity(),
        victims=tiny_patients(2, slices=1, seed=1),
        auxiliary=tiny_patients(3, slices=2, seed=2),
    )


def test_the_start_is_grey_without_auxiliary_patients() -> None:
    seen = observation()
    middles = seen.auxiliary.images[seen.auxiliary.middle]
    with_them = start_image(seen, torch.device("cpu"))
    torch.testing.assert_close(with_them[0], middles.mean(dim=0))
    held = {Capability.ACTIVATIONS: seen.activations}
    without = Observation(threat="test", layout=seen.layout, held=held)
    grey = start_image(without, torch.device("cpu"))
    assert torch.equal(grey, torch.full((2, 4, 32, 32), 0.5))


def test_noisy_starts_are_in_the_box_and_differ() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = noise_images(observation(), 3, torch.device("cpu"), generator)
    assert noise.shape == (3, 2, 4, 32, 32)
    assert float(noise.std()) == pytest.approx(math.sqrt(1 / 12), abs=0.01)
    image = torch.full((2, 4, 32, 32), 0.5)
    copies = disturbed(image, 3, 0.1, generator)
    assert torch.equal(copies[0], image)
    assert float(copies[1:].std()) == pytest.approx(0.1, abs=0.01)
    assert not torch.equal(copies[1], copies[2])
    assert float(disturbed(image, 2, 10.0, generator).min()) >= 0
    assert float(disturbed(image, 2, 10.0, generator).max()) <= 1
