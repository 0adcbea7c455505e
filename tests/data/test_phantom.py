from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leakaudit.data import CANONICAL, Cohort, brain_mask, load_folder, phantom_cohort
from leakaudit.errors import ConfigError, StoreError


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return phantom_cohort(patients=12, seed=3)


def test_shape_names_and_range(cohort: Cohort) -> None:
    assert (cohort.name, cohort.simulated) == ("phantom", True)
    assert cohort.modalities == CANONICAL
    assert cohort.ids[:2] == ("PHANTOM_001", "PHANTOM_002")
    for patient in cohort.patients:
        assert patient.images.shape == (8, 4, 96, 96)
        assert patient.masks.shape == (8, 96, 96)
        assert (patient.images.max(axis=(0, 2, 3)) == 1).all()


def test_equal_seeds_give_equal_patients_and_others_do_not() -> None:
    def one(**changed: Any) -> Cohort:
        return phantom_cohort(**{"patients": 2, "slices": 2, "size": 48, "seed": 5, **changed})

    base = one()
    assert one().fingerprint == base.fingerprint
    assert one(seed=6).fingerprint != base.fingerprint
    # A larger cohort begins with the same patients.
    more = one(patients=3)
    assert (more.patients[1].images == base.patients[1].images).all()
    assert (more.patients[1].masks == base.patients[1].masks).all()


def test_background_is_zero_and_outside_every_tumour(cohort: Cohort) -> None:
    for patient in cohort.patients:
        dark = (patient.images == 0).all(axis=1)
        assert 0.3 < dark.mean() < 0.75
        assert dark[:, [0, -1]].all()
        assert dark[:, :, [0, -1]].all()
        assert not patient.masks[dark].any()
        # Noise does not reach the background: what is not brain is exactly 0.
        assert (dark | brain_mask(patient.images)).mean() > 0.99


def test_each_slice_bears_tumour_of_the_size_of_a_glioma(cohort: Cohort) -> None:
    shares = []
    for patient in cohort.patients:
        assert patient.tumour_slices == tuple(range(8))
        brain = brain_mask(patient.images).sum()
        by_class = [(patient.masks == k).sum() / brain for k in (1, 2, 3)]
        assert min(by_class) > 0.003
        shares.append(by_class)
    edema, core, rim = np.mean(shares, axis=0)
    assert 0.03 < edema < 0.12
    assert 0.01 < core < 0.08
    assert 0.02 < rim < 0.07


@pytest.mark.parametrize("slices", [1, 40])
def test_any_number_of_slices_bears_tumour(slices: int) -> None:
    for patient in phantom_cohort(patients=2, slices=slices, size=32).patients:
        assert patient.tumour_slices == tuple(range(slices))


def test_contrasts_have_the_order_of_a_glioma(cohort: Cohort) -> None:
    def mean(modality: str, where: int) -> float:
        m = CANONICAL.index(modality)
        values = []
        for patient in cohort.patients:
            inside = (patient.masks == where) & brain_mask(patient.images)
            values.append(patient.images[:, m][inside].mean())
        return float(np.mean(values))

    normal, edema, core, rim = range(4)
    assert mean("T1gd", rim) > 1.2 * max(mean("T1gd", k) for k in (normal, edema, core))
    assert mean("FLAIR", edema) > 1.2 * mean("FLAIR", normal)
    assert mean("T2w", edema) > 1.1 * mean("T2w", normal)
    assert mean("T1w", core) < mean("T1w", edema) < mean("T1w", normal)


def best_threshold_dice(cohort: Cohort) -> float:
    """Whole-tumour Dice of the best single threshold on FLAIR, over all patients."""
    flair = np.stack([patient.images[:, 2] for patient in cohort.patients])
    truth = np.stack([patient.masks > 0 for patient in cohort.patients])
    found = [flair > threshold for threshold in np.linspace(0.3, 0.95, 27)]
    return max(float(2 * (f & truth).sum() / (f.sum() + truth.sum())) for f in found)


def test_no_threshold_finds_the_tumour(cohort: Cohort) -> None:
    assert 0.3 < best_threshold_dice(cohort) < 0.8


@pytest.mark.slow
def test_a_threshold_does_as_well_as_on_real_patients(cohort: Cohort, real_patients: Path) -> None:
    real = load_folder(real_patients, max_slices=8)
    assert abs(best_threshold_dice(cohort) - best_threshold_dice(real)) < 0.2


def test_anatomies_differ_between_patients_and_not_within_one(cohort: Cohort) -> None:
    def likeness(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
        return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])

    t1 = [patient.images[:, 0] for patient in cohort.patients]
    within = [likeness(slab[3], slab[4]) for slab in t1]
    between = [likeness(t1[i][4], t1[j][4]) for i in range(12) for j in range(i)]
    assert min(within) > 0.93
    assert max(between) < min(within)
    sizes = [brain_mask(patient.images).sum() for patient in cohort.patients]
    assert np.std(sizes) / np.mean(sizes) > 0.03


def test_the_rim_is_two_pixels_thick_at_64() -> None:
    from scipy.ndimage import binary_opening

    thick = total = 0
    for patient in phantom_cohort(patients=6, size=64).patients:
        for mask in patient.masks == 3:
            thick += binary_opening(mask, np.ones((2, 2))).sum()
            total += mask.sum()
    assert thick / total > 0.85


def test_resolution_does_not_change_the_patient() -> None:
    from scipy.ndimage import zoom

    fine = phantom_cohort(patients=1, size=96, slices=4).patients[0]
    coarse = phantom_cohort(patients=1, size=48, slices=4).patients[0]
    shrunk = fine.masks.reshape(4, 48, 2, 48, 2)[:, :, 0, :, 0] > 0
    overlap = 2 * (shrunk & (coarse.masks > 0)).sum() / (shrunk.sum() + (coarse.masks > 0).sum())
    assert overlap > 0.8
    small = zoom(fine.images[1, 0], 0.5, order=1)
    assert np.corrcoef(small.ravel(), coarse.images[1, 0].ravel())[0, 1] > 0.95


@pytest.mark.parametrize(("slices", "depth"), [(8, 16), (16, 16), (17, 32)])
def test_volumes(slices: int, depth: int) -> None:
    cohort = phantom_cohort(patients=1, slices=slices, size=32, spatial_dims=3)
    assert cohort.patients[0].images.shape == (1, 4, depth, 32, 32)
    assert cohort.spatial == (depth, 32, 32)
    assert set(np.unique(cohort.patients[0].masks)) == {0, 1, 2, 3}


SMALL: dict[str, Any] = {"patients": 2, "slices": 2, "size": 32}


def test_cache_returns_the_same_patients(tmp_path: Path) -> None:
    cache = tmp_path / "new" / "cache"
    first = phantom_cohort(**SMALL, cache=cache)
    (entry,) = cache.iterdir()
    written = entry.stat().st_mtime_ns
    second = phantom_cohort(**SMALL, cache=cache)
    assert entry.stat().st_mtime_ns == written
    assert second.fingerprint == first.fingerprint == phantom_cohort(**SMALL).fingerprint
    assert (second.ids, second.simulated) == (first.ids, True)
    phantom_cohort(**SMALL, seed=1, cache=cache)
    phantom_cohort(**SMALL, spatial_dims=3, cache=cache)
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize("damage", ["empty", "half", "text", "flipped", "other", "fake"])
def test_a_damaged_cache_is_rebuilt(tmp_path: Path, damage: str) -> None:
    first = phantom_cohort(**SMALL, cache=tmp_path)
    (entry,) = tmp_path.iterdir()
    good = entry.read_bytes()
    if damage == "other":
        phantom_cohort(**SMALL, seed=9, cache=tmp_path)
        (other,) = (file for file in tmp_path.iterdir() if file != entry)
        entry.write_bytes(other.read_bytes())
    elif damage == "fake":
        with np.load(entry) as stored:
            fields = dict(stored)
        fields["images"] = fields["images"] * np.float32(0.5)
        np.savez(entry, **fields)
    else:
        middle = len(good) // 2
        flipped = good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :]
        bad = {"empty": b"", "half": good[:middle], "text": b"hello", "flipped": flipped}
        entry.write_bytes(bad[damage])
    assert phantom_cohort(**SMALL, cache=tmp_path).fingerprint == first.fingerprint
    with np.load(entry) as stored:
        assert str(stored["fingerprint"]) == first.fingerprint
    assert not list(tmp_path.glob("*.partial"))


def test_a_cache_that_can_not_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="choose another folder"):
        phantom_cohort(**SMALL, cache=tmp_path / "file")


@pytest.mark.parametrize(
    "bad", [{"patients": 0}, {"slices": 0}, {"size": 40}, {"size": 0}, {"spatial_dims": 1}]
)
def test_arguments_that_can_not_be(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        phantom_cohort(**{**SMALL, **bad})
