"""The shape of a simulated glioma: core, enhancing rim, edema, and the room that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """Voxel centres of one patient's images, in mm from the centre of the field of view.

    Args:
        z: upwards, one per slice.
        y: forwards, one per row (forehead on top).
        x: to the patient's right, one per column (radiological view).
    """

    z: Array
    y: Array
    x: Array

    @property
    def points(self) -> Array:
        """``(3, slices, rows, columns)``: x, y, z of each voxel."""
        z, y, x = np.meshgrid(self.z, self.y, self.x, indexing="ij")
        return np.stack([x, y, z])

    def field(self, rng: np.random.Generator, wavelength: float, waves: int = 20) -> Array:
        """A smooth random field of about zero mean and unit variance.

        A sum of plane waves, so that it depends on mm and not on the resolution.

        Args:
            rng: drawn from.
            wavelength: typical wavelength in mm.
            waves: how many are summed.
        """
        direction = rng.normal(size=(waves, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        k = direction * (2 * np.pi / (wavelength * rng.uniform(0.7, 1.4, (waves, 1))))
        phase = rng.uniform(0, 2 * np.pi, waves)
        # exp(i(kz z + ky y + kx x)) is a product: three short exponentials instead of a long one.
        along_z = np.exp(1j * (np.outer(self.z, k[:, 2]) + phase))
        along_y = np.exp(1j * np.outer(self.y, k[:, 1]))
        along_x = np.exp(1j * np.outer(k[:, 0], self.x))
        slices = (along_z[:, None, :] * along_y[None, :, :]) @ along_x
        return np.asarray(slices.real * np.sqrt(2 / waves), dtype=np.float32)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Tumour:
    """Shape of one tumour on the grid, all in mm and positive inside.

    Args:
        core: depth below the surface of the core.
        rim: local thickness of the enhancing rim.
        edema: depth below the surface of the edema, before white matter guides it.
        push: displacement of the tissue by the mass, ``(3, *grid)``.
        spacing: of the rows and columns.
    """

    core: Array
    rim: Array
    edema: Array
    push: Array
    spacing: float

    @classmethod
    def draw(cls, rng: np.random.Generator, grid: Grid, place: NDArray[np.float64]) -> Tumour:
        """A core that is an irregular ellipsoid, a rim of uneven thickness, edema around both."""
        away = grid.points - place.astype(np.float32)[:, None, None, None]
        distance = _stretched(rng, away, 0.22)
        shape = grid.field(rng, 34.0)
        radius = rng.uniform(15.0, 21.5)
        core = radius * (1 + 0.20 * shape + 0.10 * grid.field(rng, 14.0)) - distance
        # Never under two pixels of 3 mm: a rim must be learnable at 64 px.
        rim = np.maximum(6.0, rng.uniform(5.5, 7.2) * (1 + 0.20 * grid.field(rng, 25.0)))
        reach = radius + rng.uniform(5.0, 12.0)
        edema = reach * (1 + 0.16 * shape + 0.22 * grid.field(rng, 40.0))
        edema -= _stretched(rng, away, 0.25)
        length = np.sqrt((away**2).sum(axis=0)) + 1.0
        pressure = rng.uniform(0.15, 0.32) * radius * np.exp(-((length / (2.2 * radius)) ** 2))
        return cls(
            core=np.asarray(core, np.float32),
            rim=np.asarray(rim, np.float32),
            edema=np.asarray(edema, np.float32),
            push=np.asarray(away / length * pressure, np.float32),
            spacing=float(abs(grid.x[1] - grid.x[0])),
        )

    def grow(
        self, tissue: dict[str, Array], brain: NDArray[np.bool_]
    ) -> tuple[dict[str, Array], NDArray[np.int8]]:
        """Replace tissue by tumour.

        Args:
            tissue: share of CSF, grey and white matter per voxel.
            brain: where the brain is.

        Returns:
            Share of each substance per voxel, with soft borders, and the mask with hard ones.
        """
        from scipy.ndimage import distance_transform_edt

        # Edema runs along white matter and stops at the cortex and at the ventricles.
        edema = self.edema + 9.0 * (tissue["white"] - 0.55) - 14.0 * tissue["csf"]
        edema = np.maximum(edema, self.core + 1.0)
        edema = _without_islands(edema, self.core > 0)
        # The rim also lines the cortex where the tumour reaches it. It is measured in the plane
        # and not along z: where the surface is steep, a mm of field is less than a mm of tissue.
        margin = np.stack([distance_transform_edt(plane) for plane in brain]) * self.spacing
        steep = np.hypot(*np.gradient(self.core, self.spacing, axis=(1, 2)))
        below = np.minimum(self.core / np.maximum(steep, 1.0), margin)
        inner = np.asarray(below - self.rim, dtype=np.float32)
        masks = np.zeros(brain.shape, np.int8)
        masks[edema > 0] = 1
        masks[self.core > 0] = 3
        masks[inner > 0] = 2
        masks[~brain] = 0
        in_edema, in_core, in_inner = (
            soft_step(edema, 2.5),
            soft_step(self.core, 0.8),
            soft_step(inner, 1.2),
        )
        composition = {name: share * (1 - in_core) for name, share in tissue.items()}
        # Edema is water within tissue that is still there: it covers it to three quarters.
        for name in composition:
            composition[name] = composition[name] * (1 - 0.75 * in_edema)
        composition["edema"] = 0.75 * in_edema * (1 - in_core)
        composition["enhancing"] = in_core * (1 - in_inner)
        composition["non-enhancing"] = in_core * in_inner
        return composition, masks


def random_rotation(rng: np.random.Generator, angle: float) -> NDArray[np.float64]:
    """A rotation by up to about ``angle`` radians per axis."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_rotvec(rng.uniform(-angle, angle, 3)).as_matrix())


def soft_step(depth: Array, width: float) -> Array:
    """A step from 0 outside to 1 inside, ``width`` wide."""
    return np.asarray(0.5 * (1 + np.tanh(depth / (2 * width))), dtype=np.float32)


def _stretched(rng: np.random.Generator, away: Array, spread: float) -> Array:
    """Distance from the tumour's centre in mm in a space stretched along random axes."""
    turn = random_rotation(rng, np.pi)
    stretch = np.exp(rng.normal(0, spread, 3))
    stretch /= stretch.prod() ** (1 / 3)
    turned = np.tensordot(np.diag(stretch) @ turn, away, axes=1)
    return np.asarray(np.sqrt((turned**2).sum(axis=0)), dtype=np.float32)


def _without_islands(depth: Array, core: NDArray[np.bool_]) -> Array:
    """Turn inside out what is not connected to the core: far white matter is not edema."""
    from scipy.ndimage import label

    parts, _ = label(depth > 0)
    islands = (depth > 0) & ~np.isin(parts, np.unique(parts[core]))
    return np.asarray(np.where(islands, -depth - 4.0, depth), dtype=np.float32)
