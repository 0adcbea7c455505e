"""That a defense is known by running it: what it draws, how it follows the levels, its cells."""

from __future__ import annotations

import math
import sys

import pytest
import torch

from leakaudit.contracts import Defense, Evidence, hints_hold, measured
from leakaudit.contracts.measuring.keys import sends_its_key
from leakaudit.contracts.measuring.seeds import few_draws_decide
from leakaudit.contracts.measuring.steadiness import unsteady
from leakaudit.randomness import generator_for, normal_like
from leakaudit.threat.disguises.faint import LowDigits
from leakaudit.threat.disguises.places import OneChannel, PositionMix
from leakaudit.threat.disguises.values import Scale
from leakaudit.types import Levels
from leakaudit_attacks.activation_inversion import ActivationInversion
from leakaudit_attacks.matching_releases.misfit import ReleaseMatch, release_match, smoothed
from leakaudit_attacks.matching_releases.pull import Through
from leakaudit_attacks.matching_releases.surrogate import fitted_pull
from leakaudit_attacks.optimising.engine import Objective
from leakaudit_attacks.optimising.starts import middle_slices
from leakaudit_defenses.activation_dropout import ActivationDropout
from leakaudit_defenses.gaussian_noise import GaussianNoise
from leakaudit_defenses.identity import Identity
from leakaudit_defenses.top_k import TopK
from tests.plugins.attacked import EASY, observation_for, quietly, score
from tests.tiny import tiny_spec

LEVELS: Levels = tuple(
    normal_like(torch.empty(4, channels, side, side), generator_for(channels, "levels"))
    for channels, side in ((3, 12), (4, 6))
)


class Bare(Defense):
    """Draws nothing unless a test says so."""

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return ()

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return levels


class Constant(Bare):
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(torch.zeros_like(level) for level in levels)


class OrderAndSign(Bare):
    """A fresh order and fresh signs for every release, which nobody is told."""

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(normal_like(level, generator) for level in levels)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(
            (
                level.flatten(2).gather(2, scores.flatten(2).argsort(2)) * scores.flatten(2).sign()
            ).view_as(level)
            for level, scores in zip(levels, drawn, strict=True)
        )


class Detached(Bare):
    """A fixed order, a scale, and no gradient."""

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(1e-6 * level.detach().flip(-1).roll(3, -2) for level in levels)


class ClaimsIgnorance(Bare):
    def evidence(self, released: Levels) -> Evidence:
        unknown = tuple(torch.full_like(level, math.inf) for level in released)
        return Evidence(values=released, variances=unknown)


class ClaimsNothingness(Bare):
    """What it says is true of what it says, and nothing of the release."""

    def expected(self, levels: Levels) -> Levels:
        return Constant().apply(levels, ())

    def evidence(self, released: Levels) -> Evidence:
        return Evidence(values=self.expected(released), variances=self.expected(released))


class HeavyTails(Bare):
    """Huge noise on one value of five, none on the others; nobody is told which."""

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(normal_like(level, generator) for level in levels)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(
            level + 1e4 * one * (one.abs() > 1.28) for level, one in zip(levels, drawn, strict=True)
        )


class Shares(Bare):
    """Noise in every second channel, and the channel before it less that noise."""

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(30 * normal_like(level[:, ::2], generator) for level in levels)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        pairs = (
            torch.stack([level[:, ::2] - noise, noise], 2).flatten(1, 2)[:, : level.shape[1]]
            for level, noise in zip(levels, drawn, strict=True)
        )
        return tuple(pairs)


class LooksAtTheBatch(Bare):
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(level + (len(level) == 4) for level in levels)


class CountsItsCalls(Bare):
    calls = 0

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        type(self).calls += 1
        return tuple(level + self.calls for level in levels)


class LooksForAGraph(Bare):
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(level + level.requires_grad for level in levels)


@pytest.mark.parametrize("by", [1e-12, 1e-3, 1.0, 1e12])
def test_signal_is_in_units_of_the_release_and_noise_of_none_is_zero(by: float) -> None:
    for level in measured(Scale(by=by), LEVELS).levels:
        assert not bool(level.noise.any())
        assert level.additive
        assert level.followed == pytest.approx(1, abs=1e-3)
        assert float(level.signal.mean()) == pytest.approx(by**2, rel=0.2)


def test_large_levels_are_measured_in_less_memory_to_the_same_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.modules[measured.__module__], "_MOST", 1)
    for level in measured(GaussianNoise(std=3.0), LEVELS).levels:
        assert level.additive
        assert float(level.noise.mean()) == pytest.approx(9, rel=0.3)
        assert float(level.signal.mean()) == pytest.approx(1, rel=0.4)


def test_noise_is_the_variance_of_what_is_drawn() -> None:
    for level in measured(GaussianNoise(std=3.0), LEVELS).levels:
        assert level.additive
        assert float(level.noise.mean()) == pytest.approx(9, rel=0.1)
        assert float(level.signal.mean()) == pytest.approx(1, rel=0.2)


def test_a_faint_channel_in_noise_is_known_to_be_exact() -> None:
    defense = OneChannel(noise=1.0, scale=1e-6)
    for level in measured(defense, LEVELS).levels:
        exact = level.noise.flatten(1).amax(dim=1) == 0
        assert int(exact.sum()) == 1
        assert float(level.signal[exact].mean()) == pytest.approx(1e-12, rel=0.3)
        assert float(level.signal[~exact].amax()) == 0


def test_low_digits_are_seen_as_cells_of_their_step() -> None:
    for level in measured(LowDigits(step=0.037), LEVELS).levels:
        assert level.modulus.flatten().tolist() == pytest.approx([0.037] * len(level.modulus))
        assert float(level.noise.mean()) < 1e-4 * float(level.signal.mean())


@pytest.mark.parametrize("defense", [GaussianNoise(), ActivationDropout(), TopK()], ids=repr)
def test_what_is_no_cell_is_taken_for_none(defense: Defense) -> None:
    for level in measured(defense, LEVELS).levels:
        assert bool(level.modulus.isinf().all())


def test_bits_under_noise_are_no_cells() -> None:
    class Bits(OrderAndSign):
        def apply(self, levels: Levels, drawn: Levels) -> Levels:
            return tuple(
                (level + 0.5 * noise).sign() for level, noise in zip(levels, drawn, strict=True)
            )

    for level in measured(Bits(), LEVELS).levels:
        assert bool(level.modulus.isinf().all())
        assert float(level.signal.mean()) > 0


def test_nothing_follows_a_constant_and_little_a_fresh_order() -> None:
    for level in measured(Constant(), LEVELS).levels:
        assert not bool(level.signal.any())
        assert math.isnan(level.followed)
    for level in measured(OrderAndSign(), LEVELS).levels:
        assert not level.additive
        assert float(level.signal.mean()) < 0.1 * float(level.noise.mean())


@pytest.mark.parametrize(
    ("defense", "holds"),
    [
        (Identity(), True),
        (GaussianNoise(std=2.0), True),
        (ActivationDropout(), True),
        (Constant(), True),
        (PositionMix(), True),
        (ClaimsIgnorance(), False),
        (ClaimsNothingness(), False),
        (OneChannel(noise=1.0), False),
        (LowDigits(), False),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Defense) else str(one),
)
def test_hints_hold_where_releases_bear_them_out(defense: Defense, holds: bool) -> None:
    assert hints_hold(defense, LEVELS, measured(defense, LEVELS)) is holds


def test_a_defense_that_does_otherwise_where_somebody_looks_is_unsteady() -> None:
    assert "same draw" in unsteady(CountsItsCalls(), LEVELS)
    assert "gradient" in unsteady(LooksForAGraph(), LEVELS)
    assert "batch" in unsteady(LooksAtTheBatch(), LEVELS)
    for defense in (Identity(), GaussianNoise(), ActivationDropout(), Constant()):
        assert unsteady(defense, LEVELS) == ""


def test_what_most_draws_do_is_told_from_what_some_do() -> None:
    for level in measured(HeavyTails(), LEVELS).levels:
        assert float(level.noise.mean()) > 1e6
        assert float(level.usual.mean()) == 0
    for level in measured(GaussianNoise(std=3.0), LEVELS).levels:
        assert float(level.usual.mean()) == pytest.approx(9, rel=0.3)


@pytest.mark.parametrize(
    "defense",
    [GaussianNoise(), ActivationDropout(), OrderAndSign()],
    ids=lambda one: type(one).__name__,
)
def test_noise_and_fresh_orders_are_no_key_and_not_few(defense: Defense) -> None:
    assert not sends_its_key(defense, LEVELS)
    assert not few_draws_decide(defense, LEVELS, measured(defense, LEVELS))


def test_channels_that_share_their_noise_are_entangled_and_no_others_are() -> None:
    assert all(level.entangled for level in measured(Shares(), LEVELS).levels)
    for defense in (Identity(), GaussianNoise(), TopK(), Constant(), OneChannel(noise=1.0)):
        assert not any(level.entangled for level in measured(defense, LEVELS).levels)


def test_a_way_back_is_found_where_there_is_no_gradient() -> None:
    defense = Detached()
    found = measured(defense, LEVELS)
    assert [level.followed for level in found.levels] == [0, 0]
    pull = fitted_pull(defense, LEVELS, found)
    own = tuple(level[:2] for level in LEVELS)
    slopes = tuple(normal_like(level[:2], generator_for(1, "slopes")).double() for level in LEVELS)
    back = pull.back(own, (), slopes)
    for one, slope in zip(back, slopes, strict=True):
        wanted = 1e-6 * slope.roll(-3, -2).flip(-1)
        torch.testing.assert_close(one.double(), wanted, rtol=1e-3, atol=1e-9)


def test_a_gradient_through_half_precision_keeps_its_size() -> None:
    class Half(Bare):
        def apply(self, levels: Levels, drawn: Levels) -> Levels:
            return tuple((6e3 * level).half().float() for level in levels)

    own = tuple(level[:1] for level in LEVELS)
    pull = Through(Half())
    slopes = tuple(torch.full_like(level[:1], 1e8, dtype=torch.float64) for level in LEVELS)
    for one in pull.back(own, (), slopes):
        torch.testing.assert_close(one, torch.full_like(one, 6e11), rtol=1e-3, atol=0)


SHALLOW = tiny_spec(cut_level=0, features=(6, 4, 4, 4, 4, 4))
DISGUISED = [LowDigits(), ClaimsNothingness(), HeavyTails(), Detached()]


@pytest.mark.slow
@pytest.mark.parametrize("defense", DISGUISED, ids=lambda one: type(one).__name__)
def test_a_release_is_read_whatever_the_defense_says_of_it(defense: Defense) -> None:
    attack = ActivationInversion(iterations=25)
    plain, hidden = (
        attack(
            observation_for("curious-server-with-encoder", each, SHALLOW), seed=0, progress=quietly
        )
        for each in (Identity(), defense)
    )
    reached = score(hidden.reconstruction.images)
    assert reached > score(plain.reconstruction.images) - 0.08
    assert hidden.reconstruction.objective_last < hidden.reconstruction.objective_first


@pytest.mark.slow
@pytest.mark.parametrize(
    "defense", [Constant(), OrderAndSign()], ids=lambda one: type(one).__name__
)
def test_a_release_that_says_nothing_ends_in_figures_that_fall(defense: Defense) -> None:
    observation = observation_for("curious-server-with-encoder", defense, EASY)
    found = ActivationInversion(iterations=10)(observation, seed=0, progress=quietly)
    result = found.reconstruction
    assert result.objective_last < result.objective_first


def test_one_own_patient_is_not_where_the_trials_start(monkeypatch: pytest.MonkeyPatch) -> None:
    observation = observation_for("curious-server-with-encoder", Detached(), SHALLOW)
    lone = middle_slices(observation.auxiliary)[:1]
    module = sys.modules[release_match.__module__]
    monkeypatch.setattr(module, "middle_slices", lambda auxiliary: lone)
    monkeypatch.setattr(module, "_STEPS", 1)
    started: list[torch.Tensor] = []

    def noticed(match: ReleaseMatch) -> Objective:
        misfit = smoothed(match)

        def objective(images: torch.Tensor, step: int) -> torch.Tensor:
            if step == 0:
                started.append(images.detach().clone())
            return misfit(images, step)

        return objective

    release_match(observation, noticed)
    assert started
    assert all(bool((start == 0.5).all()) for start in started)


def test_a_large_level_is_undone_by_channel_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[fitted_pull.__module__], "_LARGE", 1)
    monkeypatch.setattr(sys.modules[fitted_pull.__module__], "_TABLE", 1)
    monkeypatch.setattr(sys.modules[fitted_pull.__module__], "_ROWS", 1)
    defense = Scale(by=1e-6)
    pull = fitted_pull(defense, LEVELS, measured(defense, LEVELS))
    own = tuple(level[:2] for level in LEVELS)
    for back, level in zip(pull.back(own, (), own), own, strict=True):
        torch.testing.assert_close(back, 1e-6 * level, rtol=1e-3, atol=1e-9)
