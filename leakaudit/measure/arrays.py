"""Shapes of the numpy arrays that are measured, said once.

Axes: ``n`` victims, ``a`` auxiliary patients, ``g`` patients of the gallery, ``m`` modalities,
``*s`` two or three spatial axes. Images are in [0, 1], their background is 0.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

Images: TypeAlias = Float[np.ndarray, "n m *s"]
Brains: TypeAlias = Bool[np.ndarray, " n *s"]
Scores: TypeAlias = Float[np.ndarray, " n"]
ByModality: TypeAlias = Float[np.ndarray, "n m"]
OneImage: TypeAlias = Float[np.ndarray, " m *s"]

AuxiliaryImages: TypeAlias = Float[np.ndarray, "a m *s"]
AuxiliaryBrains: TypeAlias = Bool[np.ndarray, " a *s"]
GalleryImages: TypeAlias = Float[np.ndarray, "g m *s"]

MaskSlices: TypeAlias = Int[np.ndarray, " slices *s"]
AnyFloat: TypeAlias = Float[np.ndarray, " ..."]
AnyBool: TypeAlias = Bool[np.ndarray, " ..."]
