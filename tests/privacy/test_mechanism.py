"""The audit of a mechanism: a right one stands, and each planted bug is found by its pair."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import pytest
import torch

from leakaudit.contracts import Defense, PrivacyGuarantee, ReleaseSetting
from leakaudit.dp_audit import MechanismAudit, audit_mechanism
from leakaudit.errors import ConfigError
from leakaudit.privacy.gaussian import mu_of, noise_multiplier
from leakaudit.randomness import normal_like
from leakaudit.types import Levels
from leakaudit_defenses.dp_gaussian import DpGaussian
from leakaudit_defenses.dp_sgd import DpSgd
from leakaudit_defenses.gaussian_noise import GaussianNoise


@dataclass(frozen=True, kw_only=True)
class Mechanism(Defense):
    """A Gaussian mechanism of a third party, written anew; the bugs are planted below."""

    epsilon: float = 8.0
    delta: float = 1e-5
    clip: float = 10.0
    noise_std: float = 0.0

    def fit(self, setting: ReleaseSetting) -> Mechanism:
        z = noise_multiplier(self.epsilon, self.delta, setting.releases_per_patient)
        return replace(self, noise_std=z * self.moved(setting.sites))

    def moved(self, sites: int) -> float:
        return 2 * self.clip * math.sqrt(sites)

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(normal_like(level, generator) for level in levels)

    def clipped(self, levels: Levels) -> Levels:
        norms = torch.cat([level.flatten(1) for level in levels], dim=1).norm(dim=1)
        factor = (self.clip / norms).clamp(max=1).view(-1, 1, 1, 1)
        return tuple(level * factor for level in levels)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(
            level + self.noise_std * noise
            for level, noise in zip(self.clipped(levels), drawn, strict=True)
        )

    def guarantee(self, releases: int, *, reproducible: bool) -> PrivacyGuarantee:
        return PrivacyGuarantee(
            claimed=True,
            epsilon=self.epsilon,
            delta=self.delta,
            releases=releases,
            mechanism="as planted",
            assumptions=(),
            mu=mu_of(self.epsilon, self.delta),
            clip=self.clip,
        )


@dataclass(frozen=True, kw_only=True)
class HalfSensitivity(Mechanism):
    """As if a record were removed, not replaced."""

    def moved(self, sites: int) -> float:
        return self.clip * math.sqrt(sites)


@dataclass(frozen=True, kw_only=True)
class ForgetsSites(Mechanism):
    """Noise for one site, released by all."""

    def moved(self, sites: int) -> float:
        return 2 * self.clip


@dataclass(frozen=True, kw_only=True)
class NoClip(Mechanism):
    def clipped(self, levels: Levels) -> Levels:
        return levels


@dataclass(frozen=True, kw_only=True)
class SigmaAsVariance(Mechanism):
    def fit(self, setting: ReleaseSetting) -> Mechanism:
        fitted = super().fit(setting)
        assert fitted.noise_std > 1
        return replace(fitted, noise_std=math.sqrt(fitted.noise_std))


@dataclass(frozen=True, kw_only=True)
class NoiseBeforeClip(Mechanism):
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        noisy = (level + self.noise_std * noise for level, noise in zip(levels, drawn, strict=True))
        return self.clipped(tuple(noisy))


@dataclass(frozen=True, kw_only=True)
class SharedNoise(Mechanism):
    """One draw for a whole batch."""

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(normal_like(level[:1], generator).expand_as(level) for level in levels)


@dataclass(frozen=True, kw_only=True)
class OneDrawPerChannel(Mechanism):
    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(
            normal_like(level[:, :, :1, :1], generator).expand_as(level) for level in levels
        )


@dataclass(frozen=True, kw_only=True)
class OneDrawPerRow(Mechanism):
    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(normal_like(level[..., :1], generator).expand_as(level) for level in levels)


@dataclass(frozen=True, kw_only=True)
class OneDrawPerColumn(Mechanism):
    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(normal_like(level[..., :1, :], generator).expand_as(level) for level in levels)


@dataclass(frozen=True, kw_only=True)
class OneDrawPerPlace(Mechanism):
    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(normal_like(level[:, :1], generator).expand_as(level) for level in levels)


@dataclass(frozen=True, kw_only=True)
class OneDrawForAllLevels(Mechanism):
    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        drawn = normal_like(levels[0][:, :1, :1, :1], generator)
        return tuple(drawn.expand_as(level) for level in levels)


@dataclass(frozen=True, kw_only=True)
class SmallMu(Mechanism):
    """Says of itself that it hides more than its epsilon does."""

    def guarantee(self, releases: int, *, reproducible: bool) -> PrivacyGuarantee:
        return replace(super().guarantee(releases, reproducible=reproducible), mu=0.01)


@dataclass(frozen=True, kw_only=True)
class Contradictory(Mechanism):
    def guarantee(self, releases: int, *, reproducible: bool) -> PrivacyGuarantee:
        return replace(super().guarantee(releases, reproducible=reproducible), mu=3.0)


@dataclass(frozen=True, kw_only=True)
class Unbounded(Mechanism):
    def guarantee(self, releases: int, *, reproducible: bool) -> PrivacyGuarantee:
        return replace(super().guarantee(releases, reproducible=reproducible), clip=None)


@dataclass(frozen=True, kw_only=True)
class NoCurve(HalfSensitivity):
    """Claims (epsilon, delta) without saying that its noise is Gaussian."""

    def guarantee(self, releases: int, *, reproducible: bool) -> PrivacyGuarantee:
        return replace(super().guarantee(releases, reproducible=reproducible), mu=None)


@dataclass(frozen=True, kw_only=True)
class NoNoise(NoCurve):
    def moved(self, sites: int) -> float:
        return 1e-9


@cache
def audited(planted: Callable[..., Mechanism], epsilon: float) -> MechanismAudit:
    """The audit of a planted bug, which several tests read."""
    return audit_mechanism(planted(epsilon=epsilon), draws=50_000)


@pytest.mark.slow
@pytest.mark.parametrize(("epsilon", "sites"), [(1.0, 2), (4.0, 1), (8.0, 1), (16.0, 2)])
def test_the_claim_of_dp_gaussian_stands_and_the_bound_comes_close(
    epsilon: float, sites: int
) -> None:
    found = audit_mechanism(DpGaussian(epsilon=epsilon), sites=sites)
    assert found.claim.epsilon == epsilon
    assert found.refuting == ()
    assert 0.85 * epsilon <= max(p.epsilon_if_gaussian for p in found.pairs) <= epsilon
    best = max(pair.epsilon for pair in found.pairs)
    assert 0.4 * epsilon <= best <= epsilon
    assert all(pair.epsilon <= pair.ceiling.epsilon for pair in found.pairs)
    assert [pair.draws for pair in found.pairs] == [200_000] * 3 + [4000] + [200_000] * 3


def test_a_mechanism_of_a_third_party_stands_as_well() -> None:
    assert audit_mechanism(Mechanism(), sites=3, draws=50_000).refuting == ()


@pytest.mark.parametrize("epsilon", [8.0, pytest.param(1.0, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("planted", "pair"),
    [
        (HalfSensitivity, "1x-clip"),
        (ForgetsSites, "1x-clip"),
        (NoClip, "100x-clip"),
        (SigmaAsVariance, "1x-clip"),
        (NoiseBeforeClip, "100x-clip"),
        (SharedNoise, "known-neighbor"),
        (SharedNoise, "batch-of-two"),
        (OneDrawPerChannel, "contrast-places"),
        (OneDrawPerRow, "contrast-places"),
        (OneDrawPerColumn, "contrast-places"),
        (OneDrawPerPlace, "contrast-channels"),
        (OneDrawForAllLevels, "contrast-levels"),
    ],
)
def test_a_planted_bug_is_found_by_the_pair_that_is_made_for_it(
    planted: Callable[..., Mechanism], pair: str, epsilon: float
) -> None:
    assert pair in audited(planted, epsilon).refuting


@pytest.mark.parametrize("planted", [NoClip, NoiseBeforeClip])
def test_records_within_the_clip_do_not_find_what_is_wrong_beyond_it(
    planted: Callable[..., Mechanism],
) -> None:
    assert audited(planted, 8.0).refuting == ("100x-clip",)


@pytest.mark.slow
def test_the_assumption_free_bound_alone_refutes_where_no_curve_is_claimed() -> None:
    wrong = audit_mechanism(HalfSensitivity(), draws=20_000)
    assert "1x-clip" in wrong.refuting
    # Half the noise shows about 4 of the claimed 8 without assuming a shape of the noise.
    assert audit_mechanism(NoCurve(), draws=20_000).refuting == ()
    assert wrong.pairs[0].epsilon < 8 < wrong.pairs[0].epsilon_if_gaussian
    assert "1x-clip" in audit_mechanism(NoNoise(), draws=200_000).refuting
    # So few draws cannot show 8, whatever is wrong: the ceiling says so.
    few = audit_mechanism(NoNoise(), draws=2000)
    assert (few.refuting, few.pairs[0].epsilon) == ((), few.pairs[0].ceiling.epsilon)
    assert few.pairs[0].ceiling.epsilon < 8


@pytest.mark.slow
def test_the_same_seed_gives_the_same_audit() -> None:
    first, again, other = (
        audit_mechanism(DpGaussian(), draws=2000, seed=seed) for seed in (1, 1, 2)
    )
    assert first.pairs == again.pairs
    assert first.pairs != other.pairs


@pytest.mark.parametrize(
    ("defense", "words"),
    [
        (GaussianNoise(std=1.0), "GaussianNoise claims no differential privacy"),
        (DpGaussian(scope="training"), "claims nothing that could be audited: the encoders learn"),
        (DpGaussian(epsilon=math.inf), "claims nothing .* no noise was added"),
        (Contradictory(), "claims epsilon 8 with mu 3, which is epsilon 16.* contradicts itself"),
        (SmallMu(), "claims epsilon 8 with mu 0.01, .* contradicts itself"),
        (DpSgd(), "about the trained weights"),
        (Unbounded(), "clip None; an audit needs all three"),
    ],
)
def test_what_claims_nothing_is_refused(defense: Defense, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        audit_mechanism(defense)


@pytest.mark.parametrize(("sites", "draws"), [(0, 2000), (1, 999)])
def test_too_few_sites_or_draws_are_refused(sites: int, draws: int) -> None:
    with pytest.raises(ConfigError, match="expected at least 1 site and 1000 draws"):
        audit_mechanism(DpGaussian(), sites=sites, draws=draws)
