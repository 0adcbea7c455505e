"""What attacks compare, held against the same formulas written out for one candidate at a time."""

from __future__ import annotations

import pytest
import torch

from leakaudit.contracts import Defense, Observation
from leakaudit.types import Levels
from leakaudit_attacks.gradients.misfit import Distance, GradientMatch
from leakaudit_attacks.matching_releases.activations import ActivationMatch
from leakaudit_defenses.activation_dropout import ActivationDropout
from leakaudit_defenses.gaussian_noise import GaussianNoise
from leakaudit_defenses.identity import Identity
from tests.tiny import tiny_observation, tiny_patients

RESTARTS, VICTIMS = 2, 3


def seen_by(threat: str, defense: Defense) -> Observation:
    return tiny_observation(
        threat,
        defense,
        victims=tiny_patients(VICTIMS, slices=1, seed=1),
        auxiliary=tiny_patients(3, slices=2, seed=2),
    )


def candidates() -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(RESTARTS * VICTIMS, 4, 32, 32, generator=generator).requires_grad_()


@pytest.mark.parametrize("defense", [Identity(), GaussianNoise(), ActivationDropout()], ids=repr)
def test_the_misfit_and_its_gradient_are_those_of_the_formula(defense: Defense) -> None:
    observation = seen_by("curious-server-with-encoder", defense)
    match, images = ActivationMatch(observation), candidates()
    expected = torch.zeros(len(images))
    count, known = torch.zeros(()), []
    for site, encoder in enumerate(observation.encoders):
        evidence = defense.evidence(observation.activations[site])
        levels = encoder(images[:, 2 * site : 2 * site + 2])
        for level, value, error in zip(levels, evidence.values, evidence.variances, strict=True):
            trusted = torch.isfinite(error)
            spread = value[trusted].double().var().float()
            weight = torch.where(trusted, 1 / torch.maximum(spread, error), 0.0)
            count = count + trusted.sum()
            known.append((level, value, weight))
    for level, value, weight in known:
        apart = level - value.repeat(RESTARTS, 1, 1, 1)
        expected = expected + (weight.repeat(RESTARTS, 1, 1, 1) * apart.square()).sum((1, 2, 3))
    expected = expected * VICTIMS / count
    found = match(images, 0)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    # Weighted apart, so that each candidate's own gradient is seen.
    each = torch.arange(1.0, len(images) + 1)
    ours, theirs = (
        torch.autograd.grad((each * values).sum(), images)[0] for values in (found, expected)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-7)


class Withheld(Defense):
    """Lets nothing of the deepest level through."""

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return ()

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(torch.zeros_like(level) for level in levels)

    def expected(self, levels: Levels) -> Levels:
        return self.apply(levels, ())


def test_a_defense_that_lets_nothing_through_leaves_the_search_to_the_prior() -> None:
    match, images = (
        ActivationMatch(seen_by("curious-server-with-encoder", Withheld())),
        candidates(),
    )
    total = match(images, 0) + images.flatten(1).mean(dim=1)
    (slopes,) = torch.autograd.grad(total.sum(), images)
    assert torch.allclose(slopes, torch.full_like(slopes, 1 / images[0].numel()))


def test_an_error_that_is_alike_everywhere_is_kept_as_one_number() -> None:
    sizes = {
        repr(defense): {
            weight.numel()
            for site in ActivationMatch(seen_by("curious-server-with-encoder", defense)).weights
            for weight in site
        }
        for defense in (Identity(), GaussianNoise(), ActivationDropout())
    }
    assert sizes["Identity()"] == sizes[repr(GaussianNoise())] == {1}
    assert min(sizes[repr(ActivationDropout())]) > 1


@pytest.mark.parametrize("distance", ["cosine", "squared"])
@pytest.mark.parametrize("defense", [Identity(), ActivationDropout()], ids=repr)
def test_gradients_in_one_batch_are_those_of_one_candidate_at_a_time(
    defense: Defense, distance: Distance
) -> None:
    observation = seen_by("aggregator", defense)
    match = GradientMatch(observation, 1, torch.Generator().manual_seed(0), distance)
    images = candidates()
    release, cut = observation.weight_gradients[1], observation.cut_gradients[1]
    encoders = [encoder.requires_grad_() for encoder in release.encoders]
    parameters = [parameter for encoder in encoders for parameter in encoder.parameters()]
    expected = []
    for index in range(len(images)):
        victim, draws = index % VICTIMS, torch.Generator().manual_seed((match.seed + 8) % 2**62)
        caused = torch.zeros(())
        for site, encoder in enumerate(encoders):
            view = images[index : index + 1, 2 * site : 2 * site + 2]
            released = defense.release(encoder(view), generator=draws)
            for level, gradient in zip(released, cut[site], strict=True):
                caused = caused + (level * gradient[victim]).sum()
        found = torch.autograd.grad(caused, parameters, create_graph=True)
        flat = torch.cat([each.flatten() for each in found])
        wanted = torch.cat([each.flatten() for each in release.gradients[victim]])
        if distance == "cosine":
            expected.append(1 - flat @ wanted / (flat.norm() * wanted.norm()))
        else:
            expected.append((flat - wanted).square().sum() / wanted.square().sum())
    stacked, values = torch.stack(expected), match(images, 7)
    torch.testing.assert_close(values, stacked, rtol=1e-4, atol=1e-5)
    ours, theirs = (torch.autograd.grad(each.sum(), images)[0] for each in (values, stacked))
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))
    alone = match.alone(1)(images[1:2], 7)
    torch.testing.assert_close(alone, stacked[1:2], rtol=1e-4, atol=1e-5)
