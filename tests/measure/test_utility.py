from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jaxtyping import TypeCheckError
from numpy.typing import NDArray

from leakaudit.errors import CellError
from leakaudit.measure.statistics import interval
from leakaudit.measure.utility import beside_untrained, dice_patient, gained, utility
from leakaudit.records import FoldRecord, PatientDice, State, Utility

labels = arrays(np.int64, (2, 4, 4), elements=st.integers(0, 3))


def masks(*rows: list[int]) -> NDArray[np.int64]:
    return np.array(rows, dtype=np.int64).reshape(len(rows), 1, -1)


def test_a_hand_count_with_the_slices_pooled() -> None:
    truth = masks([1, 1, 2, 0, 0, 0], [1, 0, 2, 2, 3, 3])
    prediction = masks([1, 0, 2, 2, 0, 0], [1, 1, 2, 0, 3, 0])
    found = dice_patient(prediction, truth, "p1")
    assert found.patient == "p1"
    assert found.edema == pytest.approx(2 * 2 / (3 + 3))
    assert found.non_enhancing == pytest.approx(2 * 2 / (3 + 3))
    assert found.enhancing == pytest.approx(2 * 1 / (1 + 2))
    assert found.whole_tumour == pytest.approx(2 * 5 / (7 + 8))
    assert found.tumour_core == pytest.approx(2 * 3 / (4 + 5))
    assert found.mean == pytest.approx(2 / 3)


def test_pooling_differs_from_the_mean_over_slices() -> None:
    truth = masks([1, 0, 0, 0], [1, 1, 1, 1])
    prediction = masks([0, 0, 0, 0], [1, 1, 1, 1])
    assert dice_patient(prediction, truth, "p").edema == pytest.approx(8 / 9)


@settings(deadline=None)
@given(labels, labels)
def test_equals_a_count_over_sets_of_voxels(
    prediction: NDArray[np.int64], truth: NDArray[np.int64]
) -> None:
    found = dice_patient(prediction, truth, "p")
    for name, values in {
        "edema": {1},
        "non_enhancing": {2},
        "enhancing": {3},
        "whole_tumour": {1, 2, 3},
        "tumour_core": {2, 3},
    }.items():
        a = {i for i, v in np.ndenumerate(prediction) if int(v) in values}
        b = {i for i, v in np.ndenumerate(truth) if int(v) in values}
        expected = 2 * len(a & b) / (len(a) + len(b)) if b else None
        assert getattr(found, name) == (None if expected is None else pytest.approx(expected))


def test_a_volume_counts_as_its_slices() -> None:
    rng = np.random.default_rng(0)
    prediction, truth = rng.integers(0, 4, (2, 6, 8, 8))
    assert dice_patient(prediction, truth, "p") == dice_patient(prediction[None], truth[None], "p")


@pytest.mark.parametrize("predicted", [0, 3])
def test_a_class_absent_from_the_truth_is_none_whatever_was_predicted(predicted: int) -> None:
    truth = masks([1, 2, 0, 0])
    found = dice_patient(masks([1, 2, predicted, 0]), truth, "p")
    assert found.enhancing is None
    assert found.mean == 1.0


def test_utility_counts_the_absent_and_averages_the_present() -> None:
    patients = [
        dice_patient(masks([1, 1, 2, 0]), masks([1, 1, 2, 0]), "a"),
        dice_patient(masks([1, 0, 0, 0]), masks([1, 1, 1, 0]), "b"),
        dice_patient(masks([0, 0, 0, 1]), masks([0, 0, 0, 0]), "c"),
    ]
    found = utility(patients)
    assert found.by_class == {
        "edema": pytest.approx((1 + 0.5) / 2),
        "non_enhancing": 1.0,
        "enhancing": None,
        "whole_tumour": pytest.approx((1 + 0.5) / 2),
        "tumour_core": 1.0,
    }
    assert found.absent == {
        "edema": 1,
        "non_enhancing": 2,
        "enhancing": 3,
        "whole_tumour": 1,
        "tumour_core": 2,
    }
    assert (found.mean.mean, found.mean.n) == (0.75, 2)
    assert found.patients == tuple(patients)


def test_utility_without_any_tumour_is_refused() -> None:
    empty = masks([0, 0, 0, 0])
    message = (
        "^none of the 1 patients has a tumour class in the truth; Dice needs tumour-bearing slices$"
    )
    with pytest.raises(CellError, match=message):
        utility([dice_patient(empty, empty, "a")])
    with pytest.raises(CellError, match="none of the 0 patients"):
        utility([])


def test_refuses_labels_of_another_convention_and_shapes_that_differ() -> None:
    good = masks([0, 1, 2, 3])
    message = (
        "^p: truth has labels 0 to 4, expected 0 to 3; map the data set's labels to 1 edema, "
        "2 non-enhancing, 3 enhancing$"
    )
    with pytest.raises(CellError, match=message):
        dice_patient(good, masks([0, 1, 2, 4]), "p")
    with pytest.raises(CellError, match="prediction has labels -1 to 3"):
        dice_patient(masks([-1, 1, 2, 3]), good, "p")
    with pytest.raises((CellError, TypeCheckError)):
        dice_patient(masks([0, 1, 2]), good, "p")


def patients_of(*dice: float | None) -> tuple[PatientDice, ...]:
    return tuple(
        PatientDice(
            patient=str(number),
            edema=one,
            non_enhancing=None,
            enhancing=None,
            whole_tumour=one,
            tumour_core=None,
            mean=one,
        )
        for number, one in enumerate(dice)
    )


def worth(*dice: float | None) -> Utility:
    mean = interval([one for one in dice if one is not None])
    return Utility(mean=mean, by_class={}, absent={}, patients=patients_of(*dice))


def test_a_mean_dice_ends_at_0_and_1_and_counts_folds() -> None:
    wide = utility(patients_of(0.0, 1.0, None, 0.5)).mean
    assert (wide.mean, wide.low, wide.high, wide.n) == (0.5, 0.0, 1.0, 3)
    given = patients_of(0.6, None, 0.61, 0.4, 0.41)
    folds = tuple(
        FoldRecord(fold=number, key=str(number), state=State.OK, patients=patients)
        for number, patients in enumerate((("0", "1", "2"), ("3", "4")), 1)
    )
    alone, folded = utility(given).mean, utility(given, folds).mean
    assert alone == interval([0.6, 0.61, 0.4, 0.41])
    assert alone.low is not None
    assert folded.low is not None
    assert folded.low < alone.low
    assert folded.method == "wider of t over patients and t over folds"


def test_dice_before_the_training_stands_beside_each_patient() -> None:
    after, before = worth(0.9, None, 0.5), worth(0.1, 0.2, None)
    found = beside_untrained(after, before)
    assert [one.untrained for one in found.patients] == [0.1, 0.2, None]
    assert [one.mean for one in found.patients] == [0.9, None, 0.5]
    assert found.mean == after.mean
    with pytest.raises(ValueError, match="shorter"):
        beside_untrained(after, worth(0.1, 0.2))


def test_a_gain_is_paired_by_patient_and_leaves_out_who_has_no_dice() -> None:
    # Patients differ by far more than they gain, and still all gain.
    found = gained(worth(0.9, 0.5, None, 0.1, 0.7, None), worth(0.8, 0.41, None, 0.0, None, 0.7))
    assert found.mean == pytest.approx(0.29 / 3)
    assert found.low is not None
    assert found.low > 0
    with pytest.raises(
        CellError, match=r"^a gain in Dice is that of the same patients in the same"
    ):
        gained(worth(0.9, 0.5), worth(0.9))
