"""Utility: Dice of the tumour classes per patient.

Slices are pooled per patient, so that a slice with two tumour voxels does not weigh as much as one
with two thousand. A class that the truth lacks has no Dice for any prediction: it is None and
counted, never 0 and never 1.

Reference: Dice, Ecology 26, 1945; regions as in Menze et al. 2015 (BraTS).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from leakaudit.errors import CellError
from leakaudit.measure.arrays import AnyBool, MaskSlices
from leakaudit.measure.folds import folds_of
from leakaudit.measure.statistics import interval, paired
from leakaudit.records import FoldRecord, Interval, PatientDice, Utility

CLASSES = {"edema": (1,), "non_enhancing": (2,), "enhancing": (3,)}
REGIONS = {"whole_tumour": (1, 2, 3), "tumour_core": (2, 3)}


def dice_patient(prediction: MaskSlices, truth: MaskSlices, patient: str) -> PatientDice:
    """Dice of one patient per class and region, slices pooled.

    Args:
        prediction: labels 0 to 3.
        truth: labels 0 to 3 of the same slices (for a volume: one "slice").
        patient: the patient's identifier.

    Returns:
        Dice in [0, 1]; None for what the truth lacks.

    Raises:
        CellError: shapes differ, or a label is not 0, 1, 2 or 3.
    """
    if prediction.shape != truth.shape:
        raise CellError(
            f"{patient}: prediction {prediction.shape} and truth {truth.shape} differ in shape"
        )
    for name, mask in (("prediction", prediction), ("truth", truth)):
        if mask.size and not (mask.min() >= 0 and mask.max() <= 3):
            raise CellError(
                f"{patient}: {name} has labels {mask.min()} to {mask.max()}, expected 0 to 3; "
                "map the data set's labels to 1 edema, 2 non-enhancing, 3 enhancing"
            )
    dice = {
        name: _dice(np.isin(prediction, labels), np.isin(truth, labels))
        for name, labels in (CLASSES | REGIONS).items()
    }
    present = [value for name in CLASSES if (value := dice[name]) is not None]
    mean = sum(present) / len(present) if present else None
    return PatientDice(patient=patient, mean=mean, **dice)


def utility(patients: Sequence[PatientDice], folds: Sequence[FoldRecord] = ()) -> Utility:
    """Summarise how well a network segments these patients.

    Args:
        patients: Dice of each patient.
        folds: who was a victim in which fold; empty without folds.

    Returns:
        The mean with its interval over the patients that have a tumour class at all, the mean of
        each class over the patients that have it, and how many patients lack it.

    Raises:
        CellError: no patient has any tumour class, so there is no mean.
    """
    means = {one.patient: one.mean for one in patients if one.mean is not None}
    if not means:
        raise CellError(
            f"none of the {len(patients)} patients has a tumour class in the truth; "
            "Dice needs tumour-bearing slices"
        )
    by_class: dict[str, float | None] = {}
    absent: dict[str, int] = {}
    for name in CLASSES | REGIONS:
        values = [value for patient in patients if (value := getattr(patient, name)) is not None]
        by_class[name] = sum(values) / len(values) if values else None
        absent[name] = len(patients) - len(values)
    return Utility(
        mean=interval(
            list(means.values()), least=0.0, most=1.0, folds=folds_of(list(means), folds)
        ),
        by_class=by_class,
        absent=absent,
        patients=tuple(patients),
    )


def _dice(prediction: AnyBool, truth: AnyBool) -> float | None:
    if not truth.any():
        return None
    overlap = np.count_nonzero(prediction & truth)
    return 2 * overlap / (np.count_nonzero(prediction) + np.count_nonzero(truth))


def beside_untrained(after: Utility, before: Utility) -> Utility:
    """Add each patient's Dice before the training to a utility.

    Args:
        after: of a trained network.
        before: of the same network before its training, on the same patients in the same order.
    """
    patients = tuple(
        one.model_copy(update={"untrained": other.mean})
        for one, other in zip(after.patients, before.patients, strict=True)
    )
    return after.model_copy(update={"patients": patients})


def gained(after: Utility, before: Utility) -> Interval:
    """How much more mean Dice the same patients got, paired; those that have one.

    Raises:
        CellError: they are not the same patients, or none has a Dice.
    """
    if [one.patient for one in after.patients] != [one.patient for one in before.patients]:
        raise CellError("a gain in Dice is that of the same patients in the same order")
    pairs = [
        (one.mean, other.mean)
        for one, other in zip(after.patients, before.patients, strict=True)
        if one.mean is not None and other.mean is not None
    ]
    return paired([one for one, _ in pairs], [other for _, other in pairs])
