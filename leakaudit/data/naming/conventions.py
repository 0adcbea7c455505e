"""The conventions of public data sets: which value of a mask is which tissue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, final

from leakaudit.data.naming.label_names import (
    CAVITY,
    CYST,
    EDEMA,
    ENHANCING,
    NECROSIS,
    NECROSIS_AND_NON_ENHANCING,
    NON_ENHANCING,
    WHOLE,
)
from leakaudit.errors import DataError

Family: TypeAlias = Literal["msd", "brats-2012", "brats-2018", "brats-2023", "brats-peds", "other"]
"""Whose names the files bear; ``brats-2023`` also where files end in -t1n or -t2f."""


@final
@dataclass(frozen=True, kw_only=True)
class Convention:
    """One convention of labels.

    Args:
        words: whose it is.
        tissues: tissue of each value but 0.
    """

    words: str
    tissues: Mapping[int, str]


CONVENTIONS: Final = {
    "msd": Convention(words="MSD Task01", tissues={1: EDEMA, 2: NON_ENHANCING, 3: ENHANCING}),
    "brats-2012": Convention(
        words="BraTS 2012 to 2016",
        tissues={1: NECROSIS, 2: EDEMA, 3: NON_ENHANCING, 4: ENHANCING},
    ),
    "brats-2018": Convention(
        words="BraTS 2017 to 2021",
        tissues={1: NECROSIS_AND_NON_ENHANCING, 2: EDEMA, 4: ENHANCING},
    ),
    "brats-2023": Convention(words="BraTS 2023", tissues={1: NECROSIS, 2: EDEMA, 3: ENHANCING}),
    "brats-2024": Convention(
        words="BraTS 2024, after treatment",
        tissues={1: NECROSIS_AND_NON_ENHANCING, 2: EDEMA, 3: ENHANCING, 4: CAVITY},
    ),
    "brats-peds": Convention(
        words="BraTS-PEDs 2024", tissues={1: ENHANCING, 2: NON_ENHANCING, 3: CYST, 4: EDEMA}
    ),
    "binary": Convention(words="tumour or not", tissues={1: WHOLE, 255: WHOLE}),
}
"""By the name that ``data.labels`` takes. 0 is background in all of them."""

# Many copies write 3 for 4.
_RELABELLED: Final = Convention(
    words="BraTS 2017 to 2021 with 3 for 4",
    tissues={1: NECROSIS_AND_NON_ENHANCING, 2: EDEMA, 3: ENHANCING},
)
_FOUR: Final = {
    "brats-2018": "enhancing tumour (BraTS 2017 to 2021)",
    "brats-2024": "a resection cavity (BraTS 2024)",
    "brats-2012": "enhancing tumour beside 3 non-enhancing (BraTS 2012 to 2016)",
    "brats-peds": "edema (BraTS-PEDs 2024)",
}


def convention_of(family: Family, values: Mapping[str, tuple[float, ...]]) -> Convention:
    """The one convention that names of files and values of masks leave.

    Args:
        family: whose names the files bear.
        values: which values occur, by patient.

    Raises:
        DataError: they leave several; the message asks which.
    """
    found = {value for each in values.values() for value in each if value}
    if found and (found <= {1} or found <= {255}) and family not in ("brats-peds", "brats-2012"):
        binary = CONVENTIONS["binary"]
        return Convention(words=binary.words, tissues={int(value): WHOLE for value in found})
    if family == "msd":
        return CONVENTIONS["msd"]
    if family == "brats-2012":
        if found <= {1, 2}:
            raise DataError(
                f"the masks of BraTS 2012 to 2016 hold {_listed(found)} and neither 3 nor 4, which "
                "can be two things: 1 edema, 2 tumour core (as first given out in 2012), or 1 "
                "necrosis, 2 edema; say by data.labels which: {1: edema, 2: non-enhancing} or "
                "brats-2012"
            )
        return CONVENTIONS["brats-2012"]
    if family == "brats-peds":
        if 4 in found:
            return CONVENTIONS["brats-peds"]
        raise DataError(
            f"the masks of BraTS-PEDs hold {_listed(found)} and no 4, which can be two things: 1 "
            "enhancing, 2 non-enhancing, 3 cyst (as in 2024, nobody with edema), or 1 "
            "non-enhancing, 2 edema, 3 enhancing (as in 2023); say by data.labels which: "
            "brats-peds or brats-2023"
        )
    if 4 not in found:
        if family == "brats-2018":
            return _RELABELLED if 3 in found else CONVENTIONS["brats-2018"]
        return CONVENTIONS["brats-2023" if 3 in found or family == "brats-2023" else "brats-2018"]
    if 3 not in found and family != "brats-2023":
        return CONVENTIONS["brats-2018"]
    if found - {1, 2, 3, 4}:
        return CONVENTIONS["brats-2024"]  # what is in no convention is refused first
    fitting = {"brats-2018", "brats-2024"} if 3 not in found else set(_FOUR) - {"brats-2018"}
    candidates = [name for name in _FOUR if name in fitting]
    with_four = [patient for patient, each in values.items() if 4 in each]
    meanings = ", or ".join(_FOUR[name] for name in candidates)
    mixed = ""
    if 3 in found and not any({3, 4} <= set(each) for each in values.values()):
        mixed = ", or {1: non-enhancing, 2: edema, 3: enhancing, 4: enhancing} if both are that"
    raise DataError(
        f"the masks hold {_listed(found)}, and 4 ({len(with_four)} patients, {with_four[0]} the "
        f"first) can be {meanings}; say by data.labels which: {' or '.join(candidates)}{mixed}"
    )


def _listed(values: set[float]) -> str:
    return ", ".join(f"{value:g}" for value in sorted(values)) or "nothing"
