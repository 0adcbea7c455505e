"""A privacy claim counts only as far as the run's own measurements let it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch

from leakaudit.audit.results.assemble import bounded
from leakaudit.audit.scoring.claims import checked_claim, contradicted_by_attacks
from leakaudit.contracts import PrivacyGuarantee, ReleaseSetting
from leakaudit.contracts.defense import PUBLISHED_SEED
from leakaudit.privacy.gaussian import mu_of
from leakaudit.randomness import generator_for, normal_like
from leakaudit.records import Guarantee, Matching, Outcome, Reidentification, Rule, Success
from leakaudit.types import Levels
from leakaudit_defenses.dp_gaussian import DpGaussian
from tests.policy.test_judging import TARGET, cell, ended, policy, threshold
from tests.privacy.test_mechanism import Mechanism
from tests.report.sample import leakage

SITES = 2


@dataclass(frozen=True, kw_only=True)
class Stating(Mechanism):
    """Says which noise its claim rests on."""

    def guarantee(self, releases: int, *, reproducible: bool) -> PrivacyGuarantee:
        claim = super().guarantee(releases, reproducible=reproducible)
        return replace(claim, noise_std=self.noise_std)


@dataclass(frozen=True, kw_only=True)
class SecretNoise(Stating):
    """Noise that no published seed brings about."""

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        del generator
        secret = torch.Generator().manual_seed(int.from_bytes(os.urandom(7), "little"))
        return tuple(normal_like(level, secret) for level in levels)


@dataclass(frozen=True, kw_only=True)
class SameNoiseEveryTime(Stating):
    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        del generator
        fixed = torch.Generator().manual_seed(3)
        return tuple(normal_like(level[:1], fixed).expand_as(level) for level in levels)


@dataclass(frozen=True, kw_only=True)
class NoNoise(Stating):
    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        del generator
        return tuple(torch.zeros_like(level) for level in levels)


@dataclass(frozen=True, kw_only=True)
class TooLittleSecretNoise(SecretNoise):
    """A tenth of the noise that it states."""

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return super().apply(levels, tuple(0.1 * each for each in drawn))


@dataclass(frozen=True, kw_only=True)
class ForgetsToCompose(SecretNoise):
    """Claims of many releases what it claims of one, without a curve to hold it to."""

    def guarantee(self, releases: int, *, reproducible: bool) -> PrivacyGuarantee:
        return replace(super().guarantee(releases, reproducible=reproducible), mu=None)


@dataclass(frozen=True, kw_only=True)
class StatesLessNoise(SecretNoise):
    """Claims an epsilon that the noise which it states does not give."""

    def guarantee(self, releases: int, *, reproducible: bool) -> PrivacyGuarantee:
        claim = super().guarantee(releases, reproducible=reproducible)
        return replace(claim, epsilon=0.5, mu=mu_of(0.5, self.delta))


@dataclass(frozen=True, kw_only=True)
class Dividing(Stating):
    """Divides by the norm where it should clip: of zeros that is not a number."""

    def clipped(self, levels: Levels) -> Levels:
        norms = torch.cat([level.flatten(1) for level in levels], dim=1).norm(dim=1)
        return tuple(self.clip * level / norms.view(-1, 1, 1, 1) for level in levels)


@dataclass(frozen=True, kw_only=True)
class CountsOneRelease(SecretNoise):
    """Claims for one release, however many are asked about."""

    def guarantee(self, releases: int, *, reproducible: bool) -> PrivacyGuarantee:
        del releases
        return super().guarantee(1, reproducible=reproducible)


def checked(defense: Any, releases: int = 1) -> Any:
    setting = ReleaseSetting(
        sites=SITES,
        releases_per_patient=1,
        auxiliary_levels=((torch.randn(4, 2, 2, 2, generator=generator_for(0, "a")),),) * SITES,
    )
    fitted = defense.fit(setting)
    claim = fitted.guarantee(releases, reproducible=True)
    return checked_claim(defense, fitted, claim, SITES, releases)


def test_a_claim_from_a_published_seed_is_none_even_where_the_defense_says_so() -> None:
    found = checked(Stating())
    assert not found.claim.claimed
    assert found.claim.reason == PUBLISHED_SEED
    assert not found.contradiction


def test_noise_from_a_published_seed_is_noticed_where_zeros_are_no_number() -> None:
    found = checked(Dividing())
    assert not found.claim.claimed
    assert found.claim.reason == PUBLISHED_SEED


def test_a_claim_of_fewer_releases_than_cross_is_none() -> None:
    found = checked(CountsOneRelease(epsilon=4.0), releases=10)
    assert not found.claim.claimed
    assert found.contradiction == "it covers 1 releases of a patient, and 10 cross"
    assert checked(CountsOneRelease(epsilon=4.0)).claim.claimed


def test_a_claim_that_states_no_noise_cannot_be_checked_and_is_none() -> None:
    found = checked(Mechanism())
    assert not found.claim.claimed
    assert found.claim.epsilon is None
    assert "cannot" in found.claim.reason or "no run can check it" in found.claim.reason


@pytest.mark.parametrize(
    "planted",
    [SameNoiseEveryTime, NoNoise, TooLittleSecretNoise, StatesLessNoise],
)
def test_a_false_claim_is_refuted_and_nothing_is_left_of_it(planted: type[Mechanism]) -> None:
    found = checked(planted(epsilon=8.0))
    assert not found.claim.claimed
    assert (found.claim.epsilon, found.claim.mu) == (None, None)
    assert found.contradiction


def test_a_true_claim_with_secret_noise_stands() -> None:
    found = checked(SecretNoise(epsilon=4.0))
    assert found.claim.claimed
    assert found.claim.epsilon == 4.0
    assert not found.contradiction


def test_a_claim_without_a_curve_adds_up_over_its_releases() -> None:
    defense = ForgetsToCompose(epsilon=4.0)
    assert checked(defense).claim.claimed
    many = checked(defense, releases=10)
    assert not many.claim.claimed
    assert "basic composition" in many.claim.reason


def test_the_built_in_mechanism_keeps_what_secret_noise_would_claim() -> None:
    found = checked(DpGaussian(epsilon=2.0))
    assert (found.claim.claimed, found.claim.epsilon) == (False, 2.0)
    assert not found.contradiction


CLAIM = Guarantee(
    claimed=True,
    epsilon=0.5,
    delta=1e-5,
    releases=1,
    mechanism="as planted",
    assumptions=(),
    reason="",
    mu=mu_of(0.5, 1e-5),
    clip=1.0,
)
CLAIMING = TARGET.model_copy(update={"guarantee": CLAIM})


def picked(top1: float, n: int, gallery: int) -> Reidentification:
    return Reidentification(
        top1=top1, low=0.0, high=1.0, chance=1 / gallery, gallery=gallery, n=n, blind_top1=0.0
    )


def rebuilt(reached: int, bound: float | None) -> Success:
    return Success(
        threshold=0.5,
        reached=reached,
        n=6,
        blind_name="auxiliary mean",
        blind_reached=0,
        blind_limit=0.1,
        others=30,
        bound=bound,
    )


@pytest.mark.parametrize(
    "found",
    [
        {"reidentification": picked(1.0, 6, 15)},
        {"reidentification": picked(0.0, 6, 15), "success": rebuilt(6, 0.1)},
    ],
    ids=["picked out", "rebuilt"],
)
def test_what_the_claim_makes_all_but_impossible_withdraws_it(found: dict[str, Any]) -> None:
    attacked = cell(leakage=leakage(0.2).model_copy(update=found))
    limits = policy(threshold("epsilon", 1.0), threshold())
    assert ended(limits, attacked, targets=(CLAIMING,)) == (Outcome.PASS, Rule.ALL_HOLD)
    targets = contradicted_by_attacks((CLAIMING,), (attacked,))
    (left,) = targets
    assert left.guarantee is not None
    assert "is contradicted by" in left.guarantee.reason
    assert ended(limits, attacked, targets=targets) == (Outcome.FAIL, Rule.NOT_CLAIMED)


@pytest.mark.parametrize(
    "found",
    [
        {"reidentification": picked(1 / 6, 6, 15)},
        {"reidentification": picked(0.0, 6, 15), "success": rebuilt(1, 0.1)},
        {"reidentification": picked(0.0, 6, 15), "success": rebuilt(6, None)},
    ],
    ids=["by luck", "within the bound", "without a bound"],
)
def test_what_the_claim_allows_leaves_it(found: dict[str, Any]) -> None:
    attacked = cell(leakage=leakage(0.2).model_copy(update=found))
    assert contradicted_by_attacks((CLAIMING,), (attacked,)) == (CLAIMING,)


def test_who_matches_releases_contradicts_a_claim_as_who_rebuilds_images() -> None:
    matching = Matching(top1=1.0, low=0.5, high=1.0, chance=1 / 15, gallery=15, n=20, patients=())
    matched = cell(leakage=None, matching=matching, recovers="identities")
    (left,) = contradicted_by_attacks((CLAIMING,), (matched,))
    assert left.guarantee is not None
    assert "picked out 20 of 20 patients among 15" in left.guarantee.reason


@pytest.mark.parametrize(
    ("epsilon", "attacks", "left"),
    [(0.5, 1, False), (2.0, 1, False), (2.0, 12, True), (4.0, 1, True)],
)
def test_all_of_five_patients_contradict_a_claim_by_how_many_attacks_tried(
    epsilon: float, attacks: int, left: bool
) -> None:
    claim = CLAIM.model_copy(update={"epsilon": epsilon, "mu": mu_of(epsilon, 1e-5)})
    target = TARGET.model_copy(update={"guarantee": claim})
    found = leakage(0.2).model_copy(update={"reidentification": picked(1.0, 5, 15)})
    cells = [cell(leakage=found, cell=f"attack {number}") for number in range(attacks)]
    assert (contradicted_by_attacks((target,), cells) == (target,)) is left


def test_no_bound_is_left_of_a_claim_that_fell() -> None:
    success = rebuilt(6, 0.1)
    attacked = cell(leakage=leakage(0.2).model_copy(update={"success": success}))
    fallen = CLAIM.model_copy(update={"mu": None})
    for claim, bound in ((CLAIM, True), (fallen, False), (None, False)):
        figures = bounded(attacked, claim).leakage
        assert figures is not None
        assert figures.success is not None
        assert (figures.success.bound is not None) is bound


def test_of_training_patients_a_claim_about_patients_in_use_says_nothing() -> None:
    attacked = cell(
        leakage=leakage(0.2).model_copy(update={"reidentification": picked(1.0, 6, 15)}),
        victims="training",
    )
    assert contradicted_by_attacks((CLAIMING,), (attacked,)) == (CLAIMING,)
