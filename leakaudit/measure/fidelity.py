"""How close a reconstruction comes to the private image.

The headline figure is SSIM inside the brain. Over the whole image, an all-black guess scores well
on the background alone, so whole-image SSIM and PSNR stand beside it and never by themselves.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from skimage.metrics import structural_similarity

from leakaudit.errors import CellError
from leakaudit.measure._checks import require_brain, require_pair
from leakaudit.measure.arrays import Brains, ByModality, Images, Scores

SSIM_SIGMA = 1.5
# scikit-image truncates the Gaussian at 3.5 sigma: 5 voxels either side.
SSIM_WINDOW = 11
# A standard deviation below this is float32 rounding of a constant, not structure.
FLAT = 1e-6


def ssim_map(reconstruction: Images, truth: Images) -> Images:
    """The full SSIM map of each modality, in float64.

    Gaussian window of sigma 1.5, population covariance, data range 1; at the border the image is
    mirrored.

    Args:
        reconstruction: values in [0, 1].
        truth: values in [0, 1], at least 11 voxels along each axis.

    Returns:
        SSIM at each voxel, in [-1, 1].

    Raises:
        CellError: a value is not finite, the shapes differ, or the image is smaller than the
            window.

    Reference:
        Wang, Bovik, Sheikh and Simoncelli, IEEE TIP 13, 2004, equation 13; scikit-image.
    """
    return _ssim(reconstruction, truth)[1]


def ssim_brain(
    reconstruction: Images,
    truth: Images,
    brain: Brains,
) -> Scores:
    """SSIM inside the brain: the full map averaged over the brain, then over modalities.

    The window still looks 5 voxels past the brain's edge, so a wrong outline lowers the score.

    Args:
        reconstruction: values in [0, 1].
        truth: values in [0, 1], at least 11 voxels along each axis.
        brain: the victims' true brain masks, none of them empty.

    Returns:
        One figure per victim, in [-1, 1]; 1 is the original.

    Raises:
        CellError: as `ssim_map`, or a brain is empty.
    """
    require_brain(truth, brain)
    return _brain_means(ssim_map(reconstruction, truth), brain)


def ssim_modalities(reconstruction: Images, truth: Images, brain: Brains) -> ByModality:
    """SSIM inside the brain of each modality by itself; their mean is `ssim_brain`.

    Args:
        reconstruction: values in [0, 1].
        truth: values in [0, 1], at least 11 voxels along each axis.
        brain: the victims' true brain masks, none of them empty.

    Returns:
        One figure per victim and modality, in [-1, 1].

    Raises:
        CellError: as `ssim_brain`.
    """
    require_brain(truth, brain)
    maps = ssim_map(reconstruction, truth)
    return np.array([one[:, inside].mean(axis=1) for one, inside in zip(maps, brain, strict=True)])


def ssim_image(reconstruction: Images, truth: Images) -> Scores:
    """SSIM over the whole image, mean over modalities; not a measure of leakage by itself.

    As in scikit-image, a border of 5 voxels, where the window leaves the image, is left out.

    Args:
        reconstruction: values in [0, 1].
        truth: values in [0, 1], at least 11 voxels along each axis.

    Returns:
        One figure per victim, in [-1, 1].

    Raises:
        CellError: as `ssim_map`.
    """
    return _ssim(reconstruction, truth)[0]


def ssim_region(reconstruction: Images, truth: Images, region: Brains) -> tuple[float | None, ...]:
    """SSIM inside a region that a victim may lack, such as the tumour; as `ssim_brain` otherwise.

    Args:
        reconstruction: values in [0, 1].
        truth: values in [0, 1], at least 11 voxels along each axis.
        region: the victims' true masks of the region, any of them may be empty.

    Returns:
        One figure per victim, in [-1, 1]; None where the region is empty.

    Raises:
        CellError: as `ssim_map`.
    """
    maps = ssim_map(reconstruction, truth)
    return tuple(
        float(one[:, inside].mean()) if inside.any() else None
        for one, inside in zip(maps, region, strict=True)
    )


def psnr(reconstruction: Images, truth: Images) -> Scores:
    """Peak signal-to-noise ratio over the whole image and all modalities, peak 1.

    Args:
        reconstruction: values in [0, 1].
        truth: values in [0, 1].

    Returns:
        One figure per victim in dB; infinity for an exact copy, which a record writes as None.

    Raises:
        CellError: a value is not finite or the shapes differ.
    """
    errors = _difference(reconstruction, truth)
    squared = (errors**2).reshape(len(errors), -1).mean(axis=1)
    decibels = np.full(len(squared), np.inf)
    np.log10(squared, out=decibels, where=squared > 0)
    decibels[squared > 0] *= -10
    return decibels


def mae(
    reconstruction: Images,
    truth: Images,
    brain: Brains,
) -> Scores:
    """Mean absolute error inside the brain, mean over modalities.

    Args:
        reconstruction: values in [0, 1].
        truth: values in [0, 1].
        brain: the victims' true brain masks, none of them empty.

    Returns:
        One figure per victim, in [0, 1]; 0 is the original.

    Raises:
        CellError: a value is not finite, the shapes differ, or a brain is empty.
    """
    require_brain(truth, brain)
    return _brain_means(np.abs(_difference(reconstruction, truth)), brain)


def ncc(
    reconstruction: Images,
    truth: Images,
    brain: Brains,
) -> Scores:
    """Normalised cross-correlation inside the brain, mean over modalities.

    Blind to brightness and contrast. A modality without variance in the brain counts 0.

    Args:
        reconstruction: values in [0, 1].
        truth: values in [0, 1].
        brain: the victims' true brain masks, none of them empty.

    Returns:
        One figure per victim, in [-1, 1].

    Raises:
        CellError: a value is not finite, the shapes differ, or a brain is empty.
    """
    require_brain(truth, brain)
    require_pair(reconstruction, truth)
    pairs = zip(reconstruction, truth, brain, strict=True)
    return np.array([correlation(a[:, inside], b[:, inside]) for a, b, inside in pairs])


def correlation(a: Float[np.ndarray, "m v"], b: Float[np.ndarray, "m v"]) -> float:
    """Pearson correlation over the voxels of each modality, mean over modalities.

    A modality in which ``a`` or ``b`` has no variance (`FLAT`) counts 0.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    spread_a, spread_b = np.sqrt((a**2).mean(axis=1)), np.sqrt((b**2).mean(axis=1))
    varied = (spread_a > FLAT) & (spread_b > FLAT)
    together = np.where(varied, spread_a * spread_b, 1.0)
    return float(np.where(varied, (a * b).mean(axis=1) / together, 0.0).mean())


def _ssim(reconstruction: Images, truth: Images) -> tuple[Scores, Images]:
    """Whole-image SSIM per victim, and the full maps."""
    require_pair(reconstruction, truth)
    if min(truth.shape[2:]) < SSIM_WINDOW:
        raise CellError(
            f"SSIM needs at least {SSIM_WINDOW} voxels along each axis, got {truth.shape[2:]}"
        )
    means = np.empty(truth.shape[:2])
    maps = np.empty(truth.shape)
    for index in np.ndindex(truth.shape[:2]):
        means[index], maps[index] = structural_similarity(
            reconstruction[index].astype(np.float64),
            truth[index].astype(np.float64),
            gaussian_weights=True,
            sigma=SSIM_SIGMA,
            use_sample_covariance=False,
            data_range=1.0,
            full=True,
        )
    return means.mean(axis=1), maps


def _brain_means(values: Images, brain: Brains) -> Scores:
    return np.array([one[:, inside].mean() for one, inside in zip(values, brain, strict=True)])


def _difference(reconstruction: Images, truth: Images) -> Images:
    require_pair(reconstruction, truth)
    return reconstruction.astype(np.float64) - truth.astype(np.float64)
