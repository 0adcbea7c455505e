"""Singling out: does a reconstruction point to its own patient?

Fidelity can be low and identity still lost. Similarity is the normalised cross-correlation in the
union of the brain that the reconstruction shows and the brain of the gallery image, mean over
modalities; a modality without variance there counts 0, so that an image that shows nothing is
equally similar to everybody and scores chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from jaxtyping import Float

from leakaudit.data.cohort import brain_mask
from leakaudit.errors import CellError
from leakaudit.measure._checks import require_brain, require_finite
from leakaudit.measure.arrays import Brains, GalleryImages, Images
from leakaudit.measure.fidelity import correlation
from leakaudit.measure.folds import Folds
from leakaudit.measure.statistics import share_interval
from leakaudit.records import Reidentification

# Similarities this close are a tie: float64 rounding must not decide whose patient it is.
TIE = 1e-9


def picked_out(
    reconstructions: Images,
    truth_ids: Sequence[str],
    gallery_images: GalleryImages,
    gallery_ids: Sequence[str],
) -> tuple[Fraction, ...]:
    """Say for each victim whether the most similar image of the gallery is its own.

    Ties count as the average rank: if k images share the best similarity and the victim's own is
    among them, that victim counts 1/k.

    Args:
        reconstructions: one per victim, in [0, 1].
        truth_ids: the victims, in the order of the reconstructions.
        gallery_images: one image of every patient but the auxiliary ones, the victims' own among
            them, each by its own middle tumour slice, as the victims are, in [0, 1].
        gallery_ids: whose they are, each once.

    Returns:
        Per victim 1, 1/k or 0.

    Raises:
        CellError: no victims, a victim missing in the gallery, a patient twice in it, lengths that
            do not fit, an empty brain in the gallery, or a value that is not finite.
    """
    own = _own_positions(truth_ids, gallery_ids)
    if len(own) != len(reconstructions) or len(gallery_ids) != len(gallery_images):
        raise CellError(
            f"got {len(reconstructions)} reconstructions of {len(own)} victims and "
            f"{len(gallery_images)} gallery images of {len(gallery_ids)} patients"
        )
    require_finite("reconstruction", reconstructions)
    require_finite("gallery", gallery_images)
    require_brain(gallery_images, _brain(gallery_images))
    seen = similarities(reconstructions, gallery_images)
    return tuple(_hit(row, i) for row, i in zip(seen, own, strict=True))


def share_picked_out(
    hits: Sequence[Fraction],
    blind_hits: Sequence[Fraction],
    galleries: Sequence[int],
    folds: Folds | None = None,
) -> Reidentification:
    """How often reconstructions pick out their own patients.

    Fractional successes widen the interval, see `clopper_pearson`, and so do folds that differ, see
    `share_interval`.

    Args:
        hits: of each victim what `picked_out` says of its reconstruction.
        blind_hits: the same of the blind floor's guess.
        galleries: of each victim how many patients there were to pick from.
        folds: which fold each victim is of; None if all are of one.

    Returns:
        Top-1 share with its interval, chance, the blind guess's top-1 share.

    Raises:
        CellError: there is no victim.
    """
    low, high = share_interval(hits, folds)
    n = len(hits)
    return Reidentification(
        top1=float(sum(hits) / n),
        low=low,
        high=high,
        chance=float(sum(Fraction(1, each) for each in galleries) / n),
        gallery=min(galleries),
        n=n,
        blind_top1=float(sum(blind_hits) / n),
    )


def similarities(
    reconstructions: Images, gallery_images: GalleryImages
) -> Float[np.ndarray, "n g"]:
    """Normalised cross-correlation of each reconstruction with each gallery image.

    Args:
        reconstructions: in [0, 1].
        gallery_images: in [0, 1], no brain empty.

    Returns:
        Values in [-1, 1]; 0 where nothing varies.
    """
    shown, gallery_brain = _brain(reconstructions), _brain(gallery_images)
    result = np.empty((len(reconstructions), len(gallery_images)))
    for i, j in np.ndindex(result.shape):
        union = shown[i] | gallery_brain[j]
        result[i, j] = correlation(reconstructions[i][:, union], gallery_images[j][:, union])
    return result


def _own_positions(truth_ids: Sequence[str], gallery_ids: Sequence[str]) -> list[int]:
    position = {patient: i for i, patient in enumerate(gallery_ids)}
    if len(position) != len(gallery_ids):
        raise CellError("the gallery needs one image per patient, but a patient is in it twice")
    missing = [patient for patient in truth_ids if patient not in position]
    if missing:
        raise CellError(f"victims {missing} are not in the gallery; it must hold their own images")
    if not truth_ids:
        raise CellError("re-identification needs at least one victim, got none")
    return [position[patient] for patient in truth_ids]


def _hit(row: Float[np.ndarray, " g"], own: int) -> Fraction:
    """1/k if the victim's own image is among the k most similar ones, else 0."""
    best = row >= row.max() - TIE
    return Fraction(1, int(best.sum())) if best[own] else Fraction(0)


def _brain(images: Images) -> Brains:
    return brain_mask(images.astype(np.float32))
