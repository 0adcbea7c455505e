"""Who plays which part: patients, never slices, are split.

Victims ceil(n/4), auxiliary n//4, validation max(1, n//20), the rest train: 20 patients give
5, 5, 1, 9 and 40 give 10, 10, 2, 18.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import numpy as np

from leakaudit.errors import SplitError
from leakaudit.randomness import derive_seed


@final
@dataclass(frozen=True, kw_only=True)
class Splits:
    """Identifiers of the patients of each part, sorted; no patient is in two parts.

    Args:
        train: the target is trained on these.
        validation: followed during training; nothing is selected on them.
        auxiliary: the attacker has these; they are neither trained on nor attacked.
        victims: attacked at inference; no network has seen them.

    Raises:
        SplitError: an empty part, or a patient in two parts or twice in one.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    auxiliary: tuple[str, ...]
    victims: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse empty and overlapping parts, whoever made them."""
        parts = {
            "train": self.train,
            "validation": self.validation,
            "auxiliary": self.auxiliary,
            "victims": self.victims,
        }
        for name, part in parts.items():
            if not part:
                raise SplitError(f"the {name} part is empty, add patients")
        _refuse_repeats(patient for part in parts.values() for patient in part)


def split_patients(ids: Iterable[str], seed: int) -> Splits:
    """Split patients by a permutation drawn from ``seed``; the order of ``ids`` does not matter.

    Args:
        ids: identifiers, each once; at least four.
        seed: seed of the audit.

    Raises:
        SplitError: an identifier occurs twice, or there are too few patients for four parts.
    """
    ordered = sorted(ids)
    _refuse_repeats(ordered)
    n = len(ordered)
    victims, auxiliary, validation = -(-n // 4), n // 4, max(1, n // 20)
    if min(victims, auxiliary, n - victims - auxiliary - validation) < 1:
        raise SplitError(
            f"expected at least 4 patients for train, validation, auxiliary and victims, got {n}"
        )
    generator = np.random.default_rng(derive_seed(seed, "splits"))
    shuffled = [ordered[i] for i in generator.permutation(n)]

    def take(count: int) -> tuple[str, ...]:
        taken = tuple(sorted(shuffled[:count]))
        del shuffled[:count]
        return taken

    return Splits(
        victims=take(victims),
        auxiliary=take(auxiliary),
        validation=take(validation),
        train=take(len(shuffled)),
    )


def _refuse_repeats(ids: Iterable[str]) -> None:
    repeated = sorted(patient for patient, count in Counter(ids).items() if count > 1)
    if repeated:
        raise SplitError(
            f"a patient must have one part only, but these occur more than once: "
            f"{', '.join(repeated)}"
        )
