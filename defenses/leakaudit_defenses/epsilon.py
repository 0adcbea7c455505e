"""Checks of the epsilon of a defense with a guarantee."""

from __future__ import annotations

import math

from leakaudit.api import ConfigError


def require_epsilon(who: str, epsilon: float) -> None:
    """Refuse an epsilon that no noise can be made for.

    Args:
        who: the defense, for the message.
        epsilon: 1e-6 to 1e6, or infinity for no noise.

    Raises:
        ConfigError: it is neither.
    """
    if not (1e-6 <= epsilon <= 1e6 or epsilon == math.inf):
        raise ConfigError(
            f"{who}: epsilon is {epsilon}; it must be 1e-06 to 1e+06, or inf for no noise and no "
            "claim"
        )
