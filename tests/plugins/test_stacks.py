"""Several defenses as one: what crosses, what it gives away, and what the whole may claim."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from leakaudit.contracts import Defense, PrivacyGuarantee, ReleaseSetting, Stack
from leakaudit.errors import ConfigError
from leakaudit.privacy.gaussian import epsilon_of, mu_of
from leakaudit.randomness import generator_for
from leakaudit.types import Images, Levels
from leakaudit_defenses.activation_dropout import ActivationDropout
from leakaudit_defenses.adversarial import Adversarial
from leakaudit_defenses.cut_gradient_noise import CutGradientNoise
from leakaudit_defenses.dp_gaussian import DpGaussian
from leakaudit_defenses.dp_sgd import DpSgd
from leakaudit_defenses.gaussian_noise import GaussianNoise
from leakaudit_defenses.laplace_noise import LaplaceNoise
from leakaudit_defenses.nopeek import Nopeek
from leakaudit_defenses.top_k import TopK


@dataclass(frozen=True, kw_only=True)
class PenalizesInSilence(Defense):
    """A third party's, which does not say that it acts on the training."""

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return ()

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(level / 2 for level in levels)

    def penalty(
        self, images: Images, released: Levels, companion: nn.Module | None
    ) -> torch.Tensor | None:
        return released[0].mean()


@dataclass(frozen=True, kw_only=True)
class ClipsByPrivateData(PenalizesInSilence):
    """Claims nothing for the training's releases, for a reason that DP-SGD does not cure."""

    penalty = Defense.penalty

    def guarantee(self, releases: int, *, reproducible: bool) -> PrivacyGuarantee:
        return PrivacyGuarantee(
            claimed=False,
            epsilon=1.0,
            delta=1e-5,
            releases=releases,
            mechanism="",
            assumptions=(),
            reason="the clip bound was taken from private data",
            mu=0.1,
            covers="training releases",
        )


@dataclass(frozen=True, kw_only=True)
class SaysNoCurve(ClipsByPrivateData):
    """Claims something for the training's releases, but by no Gaussian-DP parameter."""

    def guarantee(self, releases: int, *, reproducible: bool) -> PrivacyGuarantee:
        return replace(
            super().guarantee(releases, reproducible=reproducible), claimed=True, mu=None
        )


def levels_of(batch: int = 3, seed: int = 0) -> Levels:
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(batch, channels, extent, extent, generator=generator)
        for channels, extent in ((4, 32), (8, 16))
    )


def fitted(*chain: Defense) -> Stack:
    stack = Stack(chain=chain)
    return stack.fit(
        ReleaseSetting(
            sites=2,
            releases_per_patient=3,
            auxiliary_levels=(levels_of(), levels_of()),
            releases_in_training=40,
            steps_per_patient=20,
        )
    )


NOISE_AND_DROPOUT = (GaussianNoise(std=2.0), ActivationDropout(p=0.5))


def test_the_parts_are_applied_in_order_with_their_own_draws() -> None:
    levels, stack = levels_of(), fitted(*NOISE_AND_DROPOUT)
    drawn = stack.draw(levels, generator_for(0, "test"))
    assert len(drawn) == 4
    by_hand = stack.chain[1].apply(stack.chain[0].apply(levels, drawn[:2]), drawn[2:])
    released = stack.release(levels, generator=generator_for(0, "test"))
    assert all(map(torch.equal, released, by_hand))
    last = stack.trace(levels, drawn)[-1]
    assert all(map(torch.equal, last.after, released))
    other = fitted(*reversed(NOISE_AND_DROPOUT)).release(levels, generator=generator_for(0, "test"))
    # Dropout comes first there, so that no value is exactly 0.
    assert bool((released[0] == 0).any())
    assert not bool((other[0] == 0).any())


def test_samples_are_treated_on_their_own() -> None:
    levels, stack = levels_of(), fitted(*NOISE_AND_DROPOUT)
    drawn = stack.draw(levels, generator_for(0, "test"))
    together = stack.apply(levels, drawn)
    alone = stack.apply(tuple(each[1:2] for each in levels), tuple(each[1:2] for each in drawn))
    for whole, part in zip(together, alone, strict=True):
        assert torch.allclose(whole[1:2], part)


@pytest.mark.parametrize(
    "chain",
    [
        NOISE_AND_DROPOUT,
        (ActivationDropout(p=0.5), GaussianNoise(std=0.5)),
        (ActivationDropout(p=0.5, unit="channel"), GaussianNoise(std=0.5)),
        (TopK(keep=0.5), GaussianNoise(std=0.5)),
        (Nopeek(), GaussianNoise(std=2.0)),
        (GaussianNoise(std=0.5), GaussianNoise(std=1.0)),
        (GaussianNoise(std=1.0, relative=True), ActivationDropout(p=0.9)),
        (GaussianNoise(std=1.0, relative=True), GaussianNoise(std=1.0)),
        (LaplaceNoise(scale=0.5, relative=True), TopK(keep=0.5), GaussianNoise(std=0.5)),
    ],
    ids=repr,
)
def test_the_evidence_of_a_stack_is_honest(chain: tuple[Defense, ...]) -> None:
    levels, stack = levels_of(8), fitted(*chain)
    evidence = stack.evidence(stack.release(levels, generator=generator_for(0, "test")))
    wanted = stack.expected(levels)
    for value, variance, true in zip(evidence.values, evidence.variances, wanted, strict=True):
        seen = variance.isfinite()
        assert bool(seen.any())
        error = float((value - true)[seen].square().mean())
        said = float(variance.expand_as(true)[seen].mean())
        # What is dropped under a later noise is known from its mean alone.
        assert 0.5 * error <= said <= 2 * error


def test_a_bound_is_fitted_to_what_the_parts_before_it_release() -> None:
    alone = DpGaussian().fit(
        ReleaseSetting(sites=2, releases_per_patient=3, auxiliary_levels=(levels_of(), levels_of()))
    )
    behind = fitted(TopK(keep=0.05), DpGaussian()).chain[1]
    assert isinstance(behind, DpGaussian)
    assert alone.clip is not None
    assert behind.clip is not None
    assert behind.clip < alone.clip


def test_returned_gradients_pass_every_part() -> None:
    gradients, stack = levels_of(), fitted(CutGradientNoise(std=1.0), GaussianNoise())
    sent = stack.return_gradient(gradients, generator=generator_for(0, "test"))
    assert not any(map(torch.equal, sent, gradients))
    untouched = fitted(Nopeek(), GaussianNoise()).return_gradient(
        gradients, generator=generator_for(0, "test")
    )
    assert all(map(torch.equal, untouched, gradients))


def test_what_is_no_stack_is_refused() -> None:
    message = r"^a stack needs two defenses, as \[nopeek, gaussian-noise\]$"
    with pytest.raises(ConfigError, match=message):
        Stack(chain=(GaussianNoise(),))
    for first, second in ((DpSgd(), DpSgd(parties="encoders")), (DpSgd(), DpSgd(epsilon=1.0))):
        message = f"{first!r} and {second!r} both privatize the training; keep one"
        with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
            Stack(chain=(first, GaussianNoise(), second))


def test_the_steps_of_a_stack_are_numbered_and_lead_into_each_other() -> None:
    levels, stack = levels_of(), fitted(TopK(keep=0.5), GaussianNoise(std=2.0))
    drawn = stack.draw(levels, generator_for(0, "test"))
    first, second = stack.trace(levels, drawn)
    assert (first.part, second.part) == (0, 1)
    assert first.before is levels
    assert second.before is first.after
    assert all(map(torch.equal, first.expected, stack.chain[0].expected(levels)))
    assert all(map(torch.equal, second.expected, stack.chain[1].expected(first.after)))
    halved = fitted(PenalizesInSilence(), PenalizesInSilence()).expected(levels)
    assert all(torch.equal(one, level / 4) for one, level in zip(halved, levels, strict=True))
    back = fitted(CutGradientNoise(std=1.0), CutGradientNoise(std=3.0))
    returned = back.draw_returned(levels, generator_for(0, "test"))
    first, second = back.trace_returned(levels, returned)
    assert (first.part, second.part) == (0, 1)
    assert first.before is first.expected is levels
    assert second.before is second.expected is first.after
    by_hand = back.chain[1].apply_returned(
        back.chain[0].apply_returned(levels, returned[:2]), returned[2:]
    )
    assert all(map(torch.equal, second.after, by_hand))


# --- what the whole claims -----------------------------------------------------------------------


def test_no_part_with_a_guarantee_makes_none() -> None:
    assert fitted(*NOISE_AND_DROPOUT).guarantee(3, reproducible=False) is None


@pytest.mark.parametrize(
    "chain",
    [
        (Nopeek(), DpGaussian()),
        (DpGaussian(), TopK(keep=0.1)),
        (Adversarial(), TopK(keep=0.5), DpGaussian(), CutGradientNoise()),
    ],
    ids=repr,
)
def test_a_claim_about_releases_stands_whatever_is_around_it(chain: tuple[Defense, ...]) -> None:
    claim = fitted(*chain).guarantee(3, reproducible=False)
    assert claim is not None
    assert claim.claimed
    assert (claim.epsilon, claim.covers) == (8.0, "releases")
    seeded = fitted(*chain).guarantee(3, reproducible=True)
    assert seeded is not None
    assert not seeded.claimed


def test_private_training_and_noise_on_its_releases_compose() -> None:
    stack = fitted(DpSgd(epsilon=4.0), DpGaussian(epsilon=6.0, scope="training"))
    claim = stack.guarantee(3, reproducible=False)
    assert claim is not None
    assert claim.claimed
    assert claim.covers == "training"
    mu = math.hypot(mu_of(4.0, 1e-5), mu_of(6.0, 1e-5))
    assert claim.epsilon == pytest.approx(epsilon_of(1e-5, mu), rel=1e-9)
    assert claim.epsilon is not None
    assert 6.0 < claim.epsilon < 10.0
    gaussian = stack.chain[1]
    assert isinstance(gaussian, DpGaussian)
    assert gaussian.releases == 40  # epochs times slices, not an inference patient's 3


@pytest.mark.parametrize(
    ("chain", "reason"),
    [
        ((DpSgd(), Nopeek()), "raw images"),
        ((Adversarial(), DpSgd(), DpGaussian(scope="training")), "raw images"),
        ((DpSgd(parties="encoders"), DpGaussian(scope="training")), "every trainable party"),
        ((DpSgd(epsilon=math.inf), DpGaussian(scope="training")), "no noise was added"),
        ((DpSgd(), DpGaussian(epsilon=math.inf, scope="training")), "no noise was added"),
        ((GaussianNoise(), DpGaussian(scope="training")), "every trainable party"),
        ((DpSgd(), PenalizesInSilence()), "raw images"),
        ((PenalizesInSilence(), DpSgd(), DpGaussian(scope="training")), "raw images"),
        ((DpSgd(), ClipsByPrivateData()), "taken from private data"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("reproducible", [False, True])
def test_otherwise_nothing_is_claimed(
    chain: tuple[Defense, ...], reason: str, reproducible: bool
) -> None:
    claim = fitted(*chain).guarantee(3, reproducible=reproducible)
    assert claim is not None
    assert not claim.claimed
    # Nor is it said that secret noise alone would make it true.
    assert reason in claim.reason
    assert "published seed" not in claim.reason


def test_a_claim_about_releases_is_not_lost_beside_one_about_weights() -> None:
    claim = fitted(DpSgd(epsilon=1.0), DpGaussian(epsilon=6.0)).guarantee(3, reproducible=False)
    assert claim is not None
    assert claim.claimed
    assert (claim.covers, claim.epsilon) == ("releases", 6.0)


def test_a_composed_claim_says_what_it_rests_on_and_takes_the_smaller_delta() -> None:
    private, noisy = DpSgd(epsilon=4.0, delta=1e-6), DpGaussian(epsilon=6.0, scope="training")
    for chain in ((private, noisy), (noisy, private)):
        stack = fitted(*chain)
        parts = {each.covers: each for each in claims_of(stack)}
        weights, sent = parts["weights"], parts["training releases"]
        claim = stack.guarantee(3, reproducible=False)
        assert claim is not None
        mu = math.hypot(mu_of(4.0, 1e-6), mu_of(6.0, 1e-5))
        assert (claim.delta, claim.reason) == (1e-6, "")
        assert claim.mu == pytest.approx(mu)
        assert claim.epsilon == pytest.approx(epsilon_of(1e-6, mu))
        assert claim.mechanism == f"{weights.mechanism}; {sent.mechanism}"
        both = [*weights.assumptions, *sent.assumptions]
        assert claim.assumptions == tuple(dict.fromkeys(both))
        assert not claim.lacks_private_training


def claims_of(stack: Stack) -> list[PrivacyGuarantee]:
    found = [part.guarantee(3, reproducible=False) for part in stack.chain]
    return [one for one in found if one is not None]


def test_a_part_without_a_curve_composes_to_no_claim() -> None:
    stack = fitted(DpSgd(), SaysNoCurve())
    claim = stack.guarantee(3, reproducible=False)
    assert claim is not None
    assert not claim.claimed
    assert claim.reason == "one of the parts does not say its Gaussian-DP parameter"


def test_of_claims_that_nobody_knows_together_none_is_left() -> None:
    claim = fitted(SaysNoCurve(), SaysNoCurve()).guarantee(3, reproducible=False)
    assert claim is not None
    assert not claim.claimed
    assert claim.reason == "leakaudit knows no claim of these defenses together, only of each alone"


def test_of_two_claims_about_releases_the_smaller_epsilon_stands() -> None:
    claim = fitted(DpGaussian(epsilon=9.0), DpGaussian(epsilon=3.0)).guarantee(
        3, reproducible=False
    )
    assert claim is not None
    assert claim.claimed
    assert claim.epsilon == 3.0
