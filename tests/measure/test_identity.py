from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from leakaudit.data.cohort import brain_mask
from leakaudit.errors import CellError
from leakaudit.measure.folds import Folds
from leakaudit.measure.identity import picked_out, share_picked_out, similarities
from leakaudit.measure.statistics import clopper_pearson
from leakaudit.records import Reidentification

MakeBrains = Callable[..., NDArray[np.float32]]
IDS = [f"p{i}" for i in range(8)]
VICTIMS = ["p6", "p1", "p4"]
OWN = [6, 1, 4]


@pytest.fixture
def gallery(make_brains: MakeBrains) -> NDArray[np.float32]:
    return make_brains(8)


def reidentify(
    reconstructions: NDArray[np.float32],
    blind: NDArray[np.float32],
    victims: list[str],
    gallery: NDArray[np.float32],
    ids: list[str],
) -> Reidentification:
    hits, guessed = (picked_out(one, victims, gallery, ids) for one in (reconstructions, blind))
    return share_picked_out(hits, guessed, [len(ids)] * len(victims))


def identify(
    reconstructions: NDArray[np.float32], gallery: NDArray[np.float32]
) -> Reidentification:
    return reidentify(reconstructions, np.zeros_like(gallery[OWN]), VICTIMS, gallery, IDS)


def test_the_original_and_a_noisy_dim_copy_name_their_patient(gallery: NDArray[np.float32]) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, gallery[OWN].shape)
    dim = np.clip(0.5 * gallery[OWN] + noise * (gallery[OWN] > 0), 0, 1).astype(np.float32)
    for reconstructions in (gallery[OWN], dim):
        found = identify(reconstructions, gallery)
        assert found.top1 == 1.0
        assert (found.low, found.high) == clopper_pearson(3, 3)
        assert (found.n, found.gallery, found.chance) == (3, 8, 1 / 8)


def test_somebody_elses_image_names_nobody_right(gallery: NDArray[np.float32]) -> None:
    found = identify(gallery[[1, 4, 6]], gallery)
    assert found.top1 == 0.0
    assert (found.low, found.high) == clopper_pearson(0, 3)


def test_one_of_three(gallery: NDArray[np.float32]) -> None:
    assert identify(gallery[[6, 0, 0]], gallery).top1 == pytest.approx(1 / 3)


@pytest.mark.parametrize("value", [0.0, 0.01, 0.3, 1.0])
def test_an_image_that_shows_nothing_scores_chance(
    gallery: NDArray[np.float32], value: float
) -> None:
    found = identify(np.full_like(gallery[OWN], value), gallery)
    assert found.top1 == pytest.approx(1 / 8)
    assert found.low == 0.0
    assert found.high == clopper_pearson(1, 3)[1]


def test_a_tie_of_two_that_includes_the_victim_counts_one_half(
    gallery: NDArray[np.float32],
) -> None:
    gallery[0] = gallery[6]
    assert identify(gallery[OWN], gallery).top1 == pytest.approx((0.5 + 1 + 1) / 3)
    gallery[4] = 0.3 * gallery[1]  # equal but for the rounding of float32
    assert identify(gallery[OWN], gallery).top1 == pytest.approx((0.5 + 0.5 + 0.5) / 3)


def test_the_blind_guess_is_right_for_the_one_victim_it_happens_to_be(
    gallery: NDArray[np.float32],
) -> None:
    found = reidentify(gallery[OWN], gallery[[1, 1, 1]], VICTIMS, gallery, IDS)
    assert found.blind_top1 == pytest.approx(1 / 3)
    assert reidentify(gallery[OWN], gallery[[0, 0, 0]], VICTIMS, gallery, IDS).blind_top1 == 0.0
    black = np.zeros_like(gallery[OWN])
    assert reidentify(gallery[OWN], black, VICTIMS, gallery, IDS).blind_top1 == pytest.approx(1 / 8)


def test_similarity_is_pearson_in_the_union_of_the_brains(gallery: NDArray[np.float32]) -> None:
    found = similarities(gallery[:2], gallery[2:5])
    brain = brain_mask(gallery)
    for i in range(2):
        for j in range(3):
            union = brain[i] | brain[2 + j]
            expected = np.mean(
                [np.corrcoef(gallery[i, m][union], gallery[2 + j, m][union])[0, 1] for m in (0, 1)]
            )
            assert found[i, j] == pytest.approx(expected, abs=1e-5)


def test_a_modality_without_variance_counts_zero(gallery: NDArray[np.float32]) -> None:
    half = gallery[:1].copy()
    half[:, 1] = 0
    assert similarities(half, gallery[:1])[0, 0] == pytest.approx(0.5)


def test_works_on_volumes(make_brains: MakeBrains) -> None:
    volumes = make_brains(8, spatial=(12, 14, 16))
    assert identify(volumes[OWN], volumes).top1 == 1.0


def test_refuses_a_gallery_that_does_not_fit(gallery: NDArray[np.float32]) -> None:
    blind, own = gallery[[0, 0, 0]], gallery[OWN]
    with pytest.raises(CellError, match=r"\['p9'\] are not in the gallery"):
        reidentify(own, blind, ["p6", "p1", "p9"], gallery, IDS)
    with pytest.raises(CellError, match=r"^the gallery needs one image per patient, but .* twice$"):
        reidentify(own, blind, VICTIMS, gallery, [*IDS[:7], "p6"])
    with pytest.raises(CellError, match="3 reconstructions of 2 victims"):
        reidentify(own, blind, VICTIMS[:2], gallery, IDS)
    with pytest.raises(CellError, match="8 gallery images of 9 patients"):
        reidentify(own, blind, VICTIMS, gallery, [*IDS, "p8"])
    with pytest.raises(CellError, match=r"^re-identification needs at least one victim, got none$"):
        reidentify(own[:0], blind[:0], [], gallery, IDS)


@pytest.mark.parametrize("where", ["reconstruction", "blind guess", "gallery"])
def test_refuses_values_that_are_not_finite(gallery: NDArray[np.float32], where: str) -> None:
    own, blind = gallery[OWN].copy(), gallery[[0, 0, 0]].copy()
    {"reconstruction": own, "blind guess": blind, "gallery": gallery}[where].flat[100] = np.nan
    named = "gallery" if where == "gallery" else "reconstruction"
    with pytest.raises(CellError, match=f"the {named} has NaN"):
        reidentify(own, blind, VICTIMS, gallery, IDS)


def test_refuses_an_empty_brain_in_the_gallery(gallery: NDArray[np.float32]) -> None:
    gallery[3] = 0
    with pytest.raises(CellError, match=r"\[3\] is empty"):
        identify(gallery[OWN], gallery)


def test_folds_that_differ_widen_the_interval_of_the_share() -> None:
    hits = [Fraction(1)] * 10 + [Fraction(0)] * 10
    numbers = tuple(number for number in range(4) for _ in range(5))
    folds = Folds(numbers=numbers, shares=tuple(tuple(row) for row in np.eye(4).tolist()))
    alone = share_picked_out(hits, hits, [15] * 20)
    spread = share_picked_out(hits, hits, [15] * 20, folds)
    assert (alone.low, alone.high) == clopper_pearson(10, 20)
    assert (spread.low, spread.high, spread.n) == (0.0, 1.0, 20)
    mixed = hits[::2] + hits[1::2]
    assert share_picked_out(mixed, mixed, [15] * 20, folds).low < alone.low
    same = [Fraction(0)] * 20
    assert share_picked_out(same, same, [15] * 20, folds).high == clopper_pearson(0, 20)[1]
    assert share_picked_out(hits, hits, [10] * 10 + [20] * 10).chance == pytest.approx(0.075)
