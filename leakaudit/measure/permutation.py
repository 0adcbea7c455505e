"""Whether two groups of patients differ by more than chance, in any of many measures."""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 9_999
# The least number of ways to part the patients at which chance is told from anything at LEVEL.
LEVEL = 1e-3


def difference_p(
    first: NDArray[np.float64], second: NDArray[np.float64], *, seed: int
) -> float | None:
    """How often chance makes the groups differ as much as they do, in the measure that does most.

    Each measure's difference of means is divided by that measure's standard deviation over all
    patients; the largest stands for all (max-statistic), so that many measures cost no level.

    Args:
        first: ``(patients, measures)``.
        second: of the other patients.
        seed: of the permutations.

    Returns:
        The share of permutations of the patients, the true one counted, with a largest difference
        at least as large; None where there are too few patients to tell anything at `LEVEL`.

    Reference: Westfall and Young 1993, Resampling-Based Multiple Testing, section 2.
    """
    together = np.concatenate([first, second])
    count, chosen = len(together), len(first)
    if comb(count, chosen) * LEVEL < 1:
        return None
    spread = together.std(axis=0)
    varied = spread > 1e-12 * np.abs(together).max(axis=0)
    scaled = (together[:, varied] - together[:, varied].mean(axis=0)) / spread[varied]
    if not scaled.shape[1]:
        return 1.0
    rng = np.random.default_rng(seed)
    orders = np.argsort(rng.random((PERMUTATIONS, count)), axis=1)[:, :chosen]
    parts = np.zeros((PERMUTATIONS + 1, count))
    parts[0, :chosen] = 1
    np.put_along_axis(parts[1:], orders, 1, axis=1)
    largest = np.abs(parts @ scaled).max(axis=1)
    return float((largest >= largest[0] * (1 - 1e-9)).mean())
