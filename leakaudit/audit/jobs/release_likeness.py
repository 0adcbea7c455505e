"""Whether the victims' releases look like those of other patients that are asked for by queries."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from leakaudit.errors import CellError
from leakaudit.measure.permutation import LEVEL, difference_p
from leakaudit.types import SiteLevels


def require_alike(victims: SiteLevels, others: SiteLevels, *, seed: int) -> str:
    """Compare moments of both; those of different patients differ, but not by more than chance.

    Args:
        victims: per site and level ``(patients, C, *spatial)``.
        others: the same of patients that stand in for them.
        seed: of the permutations of patients.

    Returns:
        A note where patients are too few for the comparison; else empty.

    Raises:
        CellError: they differ more than fewer than one permutation in a thousand makes them.
    """
    p = difference_p(_measures(victims), _measures(others), seed=seed)
    if p is None:
        return (
            f"Victims ({len(victims[0][0])}) and auxiliary patients ({len(others[0][0])}) are too "
            "few for the comparison of moments: whether the defense spares victims was not tested "
            "by it."
        )
    if p < LEVEL:
        raise CellError(
            "the victims' releases differ from auxiliary patients' in their moments by more than "
            f"chance makes patients differ (p {p:.2g}, permutations of patients): the defense may "
            "tell victims from others"
        )
    return ""


def _measures(released: SiteLevels) -> NDArray[np.float64]:
    """Return mean, spread, kurtosis and roughness of every patient and channel, on a log scale.

    A draw of noise shows in the roughness first: neighbours differ.
    """
    found = []
    for level in (level for site in released for level in site):
        values = level.detach().cpu().double().nan_to_num().flatten(2)
        mean = values.mean(dim=2)
        centred = values - mean[..., None]
        variance = centred.square().mean(dim=2)
        tiny = 1e-300
        kurtosis = centred.pow(4).mean(dim=2) / (variance.square() + tiny)
        rough = values.diff(dim=2).square().mean(dim=2) if values.shape[2] > 1 else variance
        found += [
            mean,
            torch.log(variance + tiny),
            torch.log(kurtosis + 1),
            torch.log((rough + tiny) / (variance + tiny)),
        ]
    return torch.cat(found, dim=1).numpy()
