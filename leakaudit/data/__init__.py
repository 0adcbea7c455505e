"""Patients: simulated ones, or those of a folder of NIfTI files.

In: a folder or a seed.  Out: a `Cohort` of prepared patients, and `Splits` that say who plays which
part.  The truth travels from here to the measures, past every attack.
"""

from __future__ import annotations

from leakaudit.data.cohort import (
    BRAIN_THRESHOLD,
    CLASSES,
    Cohort,
    Patient,
    area_mean,
    brain_mask,
    centre_crop,
    normalise,
    patients_were_here,
    thin_masks,
)
from leakaudit.data.folds import split_folds
from leakaudit.data.naming.modalities import CANONICAL, canonical_modality
from leakaudit.data.nifti import load_folder
from leakaudit.data.phantoms.cohort import phantom_cohort
from leakaudit.data.splits import Splits, split_patients

__all__ = [
    "BRAIN_THRESHOLD",
    "CANONICAL",
    "CLASSES",
    "Cohort",
    "Patient",
    "Splits",
    "area_mean",
    "brain_mask",
    "canonical_modality",
    "centre_crop",
    "load_folder",
    "normalise",
    "patients_were_here",
    "phantom_cohort",
    "split_folds",
    "split_patients",
    "thin_masks",
]
