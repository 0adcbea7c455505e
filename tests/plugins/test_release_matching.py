"""Release matching: it reads what nothing is random in, and guesses where a guarantee holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from leakaudit.audit.scoring.candidates import MatchScorer, View
from leakaudit.contracts import Defense, ReleaseSetting
from leakaudit.errors import ConfigError
from leakaudit.records import Matching
from leakaudit.registry import usable
from leakaudit.target.split_unet import SplitUNetSpec
from leakaudit.threat.disguises.composed import disguises
from leakaudit.threat.disguises.values import Scale
from leakaudit.threat.observing import observe
from leakaudit.threat.presets import threat_named
from leakaudit_attacks.release_matching import ReleaseMatching
from leakaudit_defenses.activation_dropout import ActivationDropout
from leakaudit_defenses.dp_gaussian import DpGaussian
from leakaudit_defenses.gaussian_noise import GaussianNoise
from leakaudit_defenses.identity import Identity
from leakaudit_defenses.laplace_noise import LaplaceNoise
from leakaudit_defenses.quantization import Quantization
from leakaudit_defenses.top_k import TopK
from tests.planted.systems import LISTED, MORE, PRIVATE
from tests.plugins.attacked import quietly
from tests.tiny import tiny_patients, tiny_spec, tiny_system

# The built-in defenses whose releases are random at their defaults.
RANDOM = {"activation-dropout", "dp-gaussian", "gaussian-noise", "laplace-noise"}
# What is random for every release and leaves each patient's own mark: in sizes, in sums, in shares.
FRESH = {
    "fresh order and sign": PRIVATE["fresh order and sign"],
    "a fresh order and its key": LISTED["a fresh order and its key"],
    **{name: MORE[name] for name in ("shares", "products", "few pixels")},
    **{name: each for name, each in MORE.items() if name.startswith("fresh ")},
}
PATIENTS = tiny_patients(12, slices=2, seed=4)
VICTIMS = PATIENTS[:6]
AUXILIARY = tiny_patients(2, slices=1, seed=5)


def shown(defense: Defense, spec: SplitUNetSpec | None, scorer: MatchScorer, view: View) -> Any:
    """What the attack sees, in one of the ways in which the list is shown."""
    return observe(
        threat_named("curious-server-with-candidates"),
        tiny_system(defense, spec, AUXILIARY),
        victims=VICTIMS,
        auxiliary=AUXILIARY,
        releases=1,
        candidates=scorer.candidates(view),
        first_release=int(view == "other pass"),
    )


def matched(defense: Defense, spec: SplitUNetSpec | None = None) -> Matching:
    """The figures of the attack, as a cell has them."""
    scorer = MatchScorer(VICTIMS, PATIENTS, seed=0)
    found, *others = (
        ReleaseMatching(passes=4)(
            shown(defense, spec, scorer, view), seed=0, progress=quietly
        ).reconstruction
        for view in ("as released", *scorer.views)
    )
    figures = scorer.figures(found, others)["matching"]
    control = scorer.negative_control(figures)
    assert control.passed, control.detail
    return figures


def top1(defense: Defense) -> float:
    """The share alone, the list being shown as it was released."""
    scorer = MatchScorer(VICTIMS, PATIENTS, seed=0)
    attempt = ReleaseMatching(passes=4)(
        shown(defense, None, scorer, "as released"), seed=0, progress=quietly
    )
    found = attempt.reconstruction
    return scorer.figures(found, [found] * len(scorer.views))["matching"].top1


@pytest.mark.parametrize(
    ("defense", "spec"),
    [
        (Identity(), tiny_spec()),
        (Identity(), tiny_spec(cut_level=0)),
        (Identity(), tiny_spec(cut_level=3, shared_skips=())),
        (Identity(), tiny_spec(cut_level=2, bottleneck=1)),
        (Quantization(bits=4), tiny_spec()),
        (Quantization(bits=1), tiny_spec(cut_level=2, shared_skips=())),
        (TopK(keep=0.1), tiny_spec()),
        (TopK(keep=0.01), tiny_spec(cut_level=3, shared_skips=())),
        (DpGaussian(epsilon=float("inf")), tiny_spec()),
    ],
    ids=lambda value: repr(value) if isinstance(value, Defense) else "",
)
def test_every_deterministic_defense_is_read(defense: Defense, spec: SplitUNetSpec) -> None:
    figures = matched(defense, spec)
    assert figures.top1 == 1.0
    assert figures.singles_out
    assert figures.chance == 1 / 12
    assert figures.other_pass is not None
    assert figures.other_pass.top1 == 1.0
    assert [one.rank for one in figures.patients] == [1.0] * 6
    assert all(one.margin and one.margin > 0 for one in figures.patients)
    assert all(one.wrong == 0.0 for one in figures.patients)


@pytest.mark.parametrize("name", [one.name for one in usable("defense")[0]])
def test_every_built_in_defense_that_draws_nothing_is_read_as_it_comes(name: str) -> None:
    """Those that act on the training or on what returns among them: they release what they get."""
    defense = next(one for one in usable("defense")[0] if one.name == name).make({})
    levels = (torch.rand(1, 4, 8, 8), torch.rand(1, 4, 4, 4))
    setting = ReleaseSetting(sites=1, releases_per_patient=1, auxiliary_levels=(levels,))
    if defense.fit(setting).draw(levels, torch.Generator()):
        assert name in RANDOM
        return
    assert name not in RANDOM
    assert top1(defense) == 1.0


@pytest.mark.parametrize("name", disguises(0))
def test_every_disguise_is_read(name: str) -> None:
    assert top1(disguises(0)[name]) == 1.0


@pytest.mark.parametrize(
    "defense",
    [
        GaussianNoise(std=1.0, relative=True),
        LaplaceNoise(scale=1.0),
        ActivationDropout(p=0.5),
    ],
    ids=repr,
)
def test_noise_that_hides_no_patient_is_read(defense: Defense) -> None:
    assert top1(defense) == 1.0


@pytest.mark.parametrize("name", FRESH)
def test_what_is_drawn_afresh_and_hides_nobody_is_read(name: str) -> None:
    assert top1(FRESH[name]) == 1.0


def test_huge_noise_in_some_values_leaves_some_patients_their_mark() -> None:
    """Not all of them: means and variances say little of noise that is mostly absent."""
    assert top1(MORE["heavy tails"]) > 3 / 12


def test_where_a_guarantee_holds_it_is_at_chance() -> None:
    figures = matched(DpGaussian(epsilon=1.0))
    assert figures.low <= figures.chance <= figures.high
    assert not figures.singles_out
    assert figures.other_pass is not None
    assert figures.other_pass.low <= figures.chance


def test_who_releases_nothing_leaves_a_tie_that_counts_as_chance() -> None:
    silent = matched(Scale(by=0.0))
    assert silent.top1 == pytest.approx(silent.chance)
    assert [one.rank for one in silent.patients] == [6.5] * 6
    assert [one.margin for one in silent.patients] == [None] * 6


def test_it_asks_twice_where_nothing_is_random() -> None:
    scorer = MatchScorer(VICTIMS, PATIENTS, seed=0)
    observation = shown(Identity(), None, scorer, "as released")
    attempt = ReleaseMatching()(observation, seed=0, progress=quietly)
    assert attempt.queries == 2 * len(PATIENTS)
    assert attempt.reconstruction.scores.shape == (6, 12)
    assert attempt.reconstruction.scores.dtype == torch.float64


def test_two_passes_are_too_few() -> None:
    with pytest.raises(ConfigError, match="passes is 2; it must be 3 to"):
        ReleaseMatching(passes=2)


def test_the_list_says_nothing_by_its_order() -> None:
    """It is not that of the patients, and not what the seed alone gives."""
    once = MatchScorer(VICTIMS, PATIENTS, seed=0).candidates("as released").numpy()
    again = MatchScorer(VICTIMS, PATIENTS, seed=0).candidates("as released").numpy()
    other = MatchScorer(VICTIMS, PATIENTS, seed=1).candidates("as released").numpy()
    in_order = np.stack([one.images[one.middle] for one in PATIENTS])
    assert (once == again).all()
    assert not (once == in_order).all()
    assert not (once == other).all()
    assert {each.tobytes() for each in once} == {each.tobytes() for each in in_order}
