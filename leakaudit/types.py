"""Shapes, units and value ranges, said once.

Axes: ``p`` patients, ``b`` samples of a batch, ``m`` modalities, ``c`` channels,
``*s`` spatial (height, width or depth, height, width). Images are float32 in [0, 1] with a
background of exactly 0 (method: v / p99.5 of the nonzero voxels, clipped). Masks are int64:
0 background, 1 edema, 2 non-enhancing tumour, 3 enhancing tumour.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from jaxtyping import Float, Int

Images: TypeAlias = Float[torch.Tensor, " b m *s"]
Masks: TypeAlias = Int[torch.Tensor, " b *s"]

# What one site sends: one tensor per crossing level, shallow to deep, each (b, c, *s / 2**level).
Levels: TypeAlias = tuple[torch.Tensor, ...]
# What all sites send, in site order.
SiteLevels: TypeAlias = tuple[Levels, ...]
