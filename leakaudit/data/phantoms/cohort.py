"""Simulated glioma patients: the ICBM152 tissue maps, deformed, with a tumour grown into them.

The maps (grey and white matter; Fonov et al. 2011, 10.1016/j.neuroimage.2010.07.033)
ship inside nilearn's wheel, so phantoms need neither network nor consent. They are not model of a
scanner: contrasts are plausible in order, not in value, and every report says "simulated".
"""

from __future__ import annotations

import importlib.metadata
import importlib.resources
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from leakaudit.data.cohort import Cohort, Patient, check_geometry, normalise
from leakaudit.data.naming.modalities import CANONICAL
from leakaudit.data.phantoms.cache import load_cached, store_cached
from leakaudit.data.phantoms.glioma import Array, Grid, Tumour, random_rotation, soft_step
from leakaudit.errors import ConfigError, DataError
from leakaudit.randomness import derive_seed

VERSION: Final = 1
"""Raised whenever the same seed would give other patients; part of the cache key."""

FIELD_OF_VIEW: Final = 192.0  # mm, as the centre crop of 192 voxels of 1 mm
SLICE_SPACING: Final = 2.0  # mm; less where a slab of so many slices would leave the tumour
_SLAB_2D: Final = 24.0  # mm that 2D slices may span, so that each one bears tumour
_ATTEMPTS: Final = 20  # draws of a tumour before giving up; two are rarely needed
_CENTRE: Final = (0.0, -17.0)  # middle of the template's brain (right, anterior) in mm
_ORIGIN: Final = (98.0, 134.0, 72.0)  # mm from the template's first voxel to its MNI origin

# Relative signal per modality (T1w, T1gd, FLAIR, T2w) of what a voxel can be made of.
_SIGNAL: Final = {
    "csf": (0.17, 0.16, 0.13, 0.95),
    "grey": (0.50, 0.47, 0.56, 0.55),
    "white": (0.72, 0.66, 0.44, 0.38),
    "edema": (0.42, 0.40, 0.86, 0.78),
    "non-enhancing": (0.33, 0.32, 0.60, 0.80),
    "enhancing": (0.46, 0.86, 0.70, 0.62),
}
# Relative spread of these between patients: tumours differ more than tissue does.
_SPREAD: Final = {
    "csf": 0.10,
    "grey": 0.05,
    "white": 0.05,
    "edema": 0.15,
    "non-enhancing": 0.16,
    "enhancing": 0.18,
}


def phantom_cohort(
    *,
    patients: int = 40,
    slices: int = 8,
    size: int = 96,
    seed: int = 0,
    spatial_dims: int = 2,
    cache: Path | None = None,
) -> Cohort:
    """Simulated patients, equal bit by bit for equal arguments on one machine.

    The field of view is 192 mm at every size. A patient depends on the seed and its number
    alone, not on how many there are.

    Args:
        patients: how many, at least 1.
        slices: contiguous axial slices per patient, each with tumour in 2D; in 3D the depth, which
            is rounded up to a multiple of 16.
        size: rows and columns in pixels, a positive multiple of 16.
        seed: seed of the cohort.
        spatial_dims: 2 for images ``(slices, 4, size, size)``, 3 for ``(1, 4, depth, size, size)``.
        cache: folder that keeps finished cohorts; None for no cache. A damaged entry is rebuilt.

    Returns:
        Patients ``PHANTOM_001`` ... with modalities T1w, T1gd, FLAIR, T2w.

    Raises:
        ConfigError: an argument that cannot be.
        DataError: nilearn's tissue maps are missing.
        StoreError: the cache folder cannot be written.
    """
    check_geometry(size, None)
    if patients < 1 or slices < 1:
        raise ConfigError(f"expected at least 1 patient and 1 slice, got {patients} and {slices}")
    if spatial_dims not in (2, 3):
        raise ConfigError(f"spatial_dims must be 2 or 3, got {spatial_dims}")
    depth = slices if spatial_dims == 2 else -(-slices // 16) * 16

    def build() -> Cohort:
        made = tuple(_simulate(i, depth, size, seed, spatial_dims) for i in range(1, patients + 1))
        return Cohort(name="phantom", modalities=CANONICAL, patients=made, simulated=True)

    if cache is None:
        return build()
    key = {
        "version": VERSION,
        "patients": patients,
        "depth": depth,
        "size": size,
        "seed": seed,
        "spatial_dims": spatial_dims,
        # Another release may ship other maps or round otherwise.
        **{name: importlib.metadata.version(name) for name in ("nilearn", "numpy", "scipy")},
    }
    cohort = load_cached(cache, key)
    if cohort is None:
        cohort = build()
        store_cached(cache, key, cohort)
    return cohort


def _simulate(number: int, depth: int, size: int, seed: int, spatial_dims: int) -> Patient:
    """One patient; draws again when the tumour turned out unlike a glioma."""
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng(derive_seed(seed, "phantom", number, attempt))
        images, masks = _draw(rng, depth, size, spatial_dims)
        if _plausible(images, masks, spatial_dims):
            break
    else:
        raise DataError(f"no plausible tumour in {_ATTEMPTS} draws", patient=_identifier(number))
    if spatial_dims == 3:
        images, masks = images.transpose(1, 0, 2, 3)[None], masks[None]
    return Patient(
        id=_identifier(number),
        images=np.ascontiguousarray(images),
        masks=np.ascontiguousarray(masks),
    )


def _identifier(number: int) -> str:
    return f"PHANTOM_{number:03d}"


def _plausible(images: Array, masks: NDArray[np.int8], spatial_dims: int) -> bool:
    """Whether a 2D patient bears tumour in each slice, and all classes are there in fair size."""
    brain = np.count_nonzero(images.any(axis=1), axis=(1, 2))
    tumour = np.count_nonzero(masks, axis=(1, 2))
    # A volume holds much brain far from the tumour, a slab through the tumour does not.
    least = (0.004 if spatial_dims == 2 else 0.001) * brain.sum()
    if any(np.count_nonzero(masks == k) < least for k in (1, 2, 3)):
        return False
    if spatial_dims == 3:
        return bool(tumour.sum() < 0.25 * brain.sum())
    return bool((tumour > 0.02 * brain).all() and (tumour < 0.25 * brain).all())


def _draw(
    rng: np.random.Generator, depth: int, size: int, spatial_dims: int
) -> tuple[Array, NDArray[np.int8]]:
    """Images ``(depth, 4, size, size)``, normalised, and masks ``(depth, size, size)``."""
    spacing = FIELD_OF_VIEW / size
    span = _SLAB_2D if spatial_dims == 2 else FIELD_OF_VIEW
    thickness = min(SLICE_SPACING, span / depth)
    in_plane = ((np.arange(size) - (size - 1) / 2) * -spacing).astype(np.float32)
    along = ((np.arange(depth) - (depth - 1) / 2) * thickness).astype(np.float32)
    grid = Grid(z=along, y=in_plane, x=in_plane)
    maps = _template(max(1, round(spacing)))
    head = _Head.draw(rng)
    tumour = Tumour.draw(rng, grid, head.place)
    tissue, brain = _anatomy(rng, grid, maps, head, tumour.push)
    composition, masks = tumour.grow(tissue, brain)
    images = _contrast(rng, grid, composition, tissue, brain, spacing)
    prepared = [normalise(images[:, m]) for m in range(len(CANONICAL))]
    return np.stack(prepared, axis=1), masks


@lru_cache(maxsize=3)
def _template(block: int) -> Array:
    """Shares of grey and white matter as ``(2, x, y, z)``, with voxels of ``block`` mm."""
    import nibabel as nib

    folder = importlib.resources.files("nilearn") / "datasets" / "data"
    maps = []
    for kind in ("gm", "wm"):
        resource = folder / f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz"
        if not resource.is_file():
            raise DataError("this ICBM152 map is missing; reinstall nilearn", file=str(resource))
        with importlib.resources.as_file(resource) as file:
            volume = np.asarray(nib.load(file).dataobj, dtype=np.float32)
        x, y, z = (extent // block for extent in volume.shape)
        volume = volume[: x * block, : y * block, : z * block]
        blocks = volume.reshape(x, block, y, block, z, block)
        maps.append(blocks.mean(axis=(1, 3, 5)) / volume.max())
    return np.stack(maps)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Head:
    """How one head lies over the template.

    Args:
        matrix: turns and scales mm of the grid to mm of the template, ``(3, 3)``.
        origin: the template's point under the centre of the field of view, in MNI mm.
        place: centre of the tumour on the grid, in mm.
    """

    matrix: NDArray[np.float64]
    origin: NDArray[np.float64]
    place: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Head:
        """A head of its own size and tilt; the tumour in white matter away from the midline."""
        # Always on the same coarse map, so that the place does not depend on the resolution.
        block = 4
        candidates = (
            np.argwhere(_template(block)[1] > 0.7) * block + (block - 1) / 2 - np.asarray(_ORIGIN)
        )
        x, y, z = candidates.T
        allowed = (np.abs(x) > 16) & (np.abs(y + 20) < 58) & (z > -6) & (z < 44)
        centre = rng.choice(candidates[allowed]) + rng.uniform(-2, 2, 3)
        matrix = random_rotation(rng, 0.10) @ np.diag(1 / rng.uniform(0.85, 1.0, 3))
        place = np.linalg.solve(matrix, [centre[0] - _CENTRE[0], centre[1] - _CENTRE[1], 0.0])
        # The slab is cut through the tumour, wherever the tilt has moved it.
        origin = np.array([*_CENTRE, centre[2]]) + matrix @ [0.0, 0.0, place[2]]
        return cls(matrix=matrix, origin=origin, place=place * [1.0, 1.0, 0.0])


def _anatomy(
    rng: np.random.Generator, grid: Grid, maps: Array, head: _Head, push: Array
) -> tuple[dict[str, Array], NDArray[np.bool_]]:
    """Shares of CSF, grey and white matter in a head unlike any other, and where the brain is."""
    from scipy.ndimage import binary_closing, binary_fill_holes, map_coordinates

    block = _block(maps)
    bend = np.stack([2.6 * grid.field(rng, 75.0) + 0.8 * grid.field(rng, 26.0) for _ in range(3)])
    origin = head.origin + np.asarray(_ORIGIN) - (block - 1) / 2
    source = np.tensordot(head.matrix, grid.points, axes=1) + bend + origin[:, None, None, None]

    def sample(volume: Array, at: NDArray[np.float64]) -> Array:
        return np.asarray(map_coordinates(volume, at / block, order=1, output=np.float32))

    # The outline is taken before the tumour pushes: the skull does not yield.
    outline = sample(maps[0] + maps[1], source) > 0.45
    closed = [binary_fill_holes(binary_closing(plane, iterations=2)) for plane in outline]
    brain = np.stack(closed)
    grey, white = (sample(volume, source - push) for volume in maps)
    csf = np.clip(1 - grey - white, 0, 1)
    # The template is an average of 152 heads: sharpen its tissues and cut folds of its own into
    # the blurred cortex. Ventricles and sulci widen together, as with age.
    age = rng.normal(0.0, 0.35)
    shares = {
        "csf": (csf + 0.01) ** 1.9 * np.exp(1.1 * grid.field(rng, 13.0) + age),
        "grey": (grey + 0.01) ** 1.9 * np.exp(0.5 * grid.field(rng, 16.0)),
        "white": (white + 0.01) ** 1.9 * np.exp(0.5 * grid.field(rng, 16.0)),
    }
    total = sum(shares.values())
    tissue = {name: np.asarray(share / total, np.float32) for name, share in shares.items()}
    return tissue, brain


def _contrast(
    rng: np.random.Generator,
    grid: Grid,
    composition: dict[str, Array],
    tissue: dict[str, Array],
    brain: NDArray[np.bool_],
    spacing: float,
) -> Array:
    """Magnitude images ``(slices, 4, rows, columns)``, background exactly 0."""
    from scipy.ndimage import gaussian_filter

    # What looks like tumour and is none: vessels that enhance, bright white matter of old age.
    vessels = 0.45 * soft_step(grid.field(rng, 11.0) - 1.2, 0.15) * tissue["csf"] ** 0.5
    lesions = 0.38 * soft_step(grid.field(rng, 17.0) - rng.uniform(1.0, 2.0), 0.2) * tissue["white"]
    clumps = 0.09 * grid.field(rng, 12.0, waves=60) + 0.12 * grid.field(rng, 26.0)
    # Noise has a stream of its own: it alone is drawn voxel by voxel.
    (grain,) = rng.spawn(1)
    images = []
    for m, modality in enumerate(CANONICAL):
        image = np.zeros(brain.shape, np.float32)
        for name, share in composition.items():
            signal = _SIGNAL[name][m] * (1 + _SPREAD[name] * rng.normal())
            uneven = clumps * (1 if m % 2 else -1) if name not in tissue else 0.0
            image += share * np.float32(signal) * (1 + uneven)
        image *= 1 + 0.05 * grid.field(rng, 20.0) + 0.03 * grid.field(rng, 10.0, waves=40)
        if modality == "T1gd":
            image += vessels
        if modality in ("FLAIR", "T2w"):
            image += lesions * composition["white"]
        image *= np.exp(0.10 * grid.field(rng, 220.0, waves=6))
        blur = rng.uniform(0.4, 1.3) / spacing
        image = gaussian_filter(image, (0, blur, blur)) * rng.uniform(0.8, 1.2)
        # Rician: the magnitude of a complex signal with equal noise in both parts.
        noise = grain.normal(0, rng.uniform(0.012, 0.035), (2, *brain.shape)).astype(np.float32)
        images.append(np.sqrt((image + noise[0]) ** 2 + noise[1] ** 2) * brain)
    return np.stack(images, axis=1)


def _block(maps: Array) -> int:
    """Voxel size of the maps in mm: the template is 197 mm wide."""
    width: int = maps.shape[1]
    return round(197 / width)
