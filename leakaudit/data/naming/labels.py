"""Decides the meaning of mask values, for all patients at once.

Names decide where a listing gives them. Elsewhere the values of all masks and the names of the
files must leave one convention. Where they leave several, the user is asked, and answers by
``data.labels``. Our classes: 1 edema, 2 non-enhancing, 3 enhancing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from leakaudit.data.cohort import CLASSES
from leakaudit.data.naming.conventions import CONVENTIONS, Convention, Family, convention_of
from leakaudit.data.naming.label_names import BACKGROUND, CAVITY, CLASS_OF, UNDERSTOOD, tissue_named
from leakaudit.errors import ConfigError, DataError, raise_problems
from leakaudit.records import Caution
from leakaudit.spelling import nearest

LabelsAsked: TypeAlias = str | Mapping[int, str]
"""What the user says of the values: a convention's name, or what each value is."""

_TOLERANCE: Final = 1e-3
_MOST_LISTED: Final = 50


@final
@dataclass(frozen=True, kw_only=True)
class Hint:
    """The knowledge of a mask's values before it is read.

    Args:
        family: whose names the files bear.
        names: tissue of each value as a listing gives them, in order; None if none does.
        listing: the file that gives them.
        fault: why no tissues follow from the names in it; empty if they do.
    """

    family: Family
    names: tuple[tuple[int, str], ...] | None = None
    listing: str = ""
    fault: str = ""


@final
@dataclass(frozen=True, kw_only=True)
class MaskValues:
    """Which values occur in one patient's mask.

    Args:
        patient: identifier.
        file: where it came from.
        hint: what is known of it.
        values: as `values_in` found them.
    """

    patient: str
    file: str
    hint: Hint
    values: tuple[float, ...]


@final
@dataclass(frozen=True, kw_only=True)
class Labels:
    """How the masks of a folder are read.

    Args:
        classes: our class of each value, by patient.
        words: which value is taken for what, and why.
        cautions: what a reader must know about it.
    """

    classes: Mapping[str, Mapping[int, int]]
    words: str
    cautions: tuple[Caution, ...]


def check_asked(asked: LabelsAsked) -> None:
    """Refuse what cannot be said of values.

    Raises:
        ConfigError: an unknown convention, value or name; the message names the nearest.
    """
    if isinstance(asked, str):
        if asked not in CONVENTIONS:
            raise ConfigError(
                f"unknown convention {asked!r} of labels{nearest(asked, CONVENTIONS)}; there are "
                f"{', '.join(CONVENTIONS)}, or a mapping such as {{1: edema, 2: necrosis}}"
            )
        return
    for value, name in asked.items():
        if not 0 <= value < 2**16:
            raise ConfigError(f"label value {value} must be a whole number from 0 to 65535")
        tissue = tissue_named(name)
        if tissue not in CLASS_OF or (value == 0 and CLASS_OF[tissue]):
            raise ConfigError(
                f"label {value}: {name!r} is not a tissue that can be read"
                f"{nearest(name, (*CLASS_OF, *CLASSES))}; known are {UNDERSTOOD}"
            )


def names_at_fault(hints: Iterable[Hint]) -> list[DataError]:
    """List the faults in names of labels, each once; ``data.labels`` overrides them.

    Args:
        hints: of all patients.
    """
    faults = dict.fromkeys((hint.fault, hint.listing) for hint in hints if hint.fault)
    return [DataError(fault, file=listing) for fault, listing in faults]


def values_in(values: NDArray[Any]) -> tuple[float, ...]:
    """The values that occur in a mask, ascending.

    A value that is nearly whole (less than 0.001 off, as a header's scaling makes it) is
    taken as whole.

    Args:
        values: a mask as read, of any shape.
    """
    foreground = values[values != 0]
    found = np.unique(foreground).astype(np.float64)
    whole = np.rint(found)
    found = np.unique(np.where(np.abs(found - whole) < _TOLERANCE, whole, found))
    present = {float(value) for value in found}
    return tuple(sorted(present | ({0.0} if foreground.size < values.size else set())))


def to_classes(values: NDArray[Any], classes: Mapping[int, int]) -> NDArray[np.int8]:
    """The mask in our classes, of the same shape.

    Args:
        values: a mask as read, whose every value has a class except for rounding.
        classes: our class of each value.
    """
    ours = np.zeros(max(classes, default=0) + 1, np.int8)
    for value, number in classes.items():
        ours[value] = number
    masks = np.zeros_like(values, np.int8)
    foreground = values != 0  # a few percent of a mask: all that is looked up
    masks[foreground] = ours[np.rint(values[foreground]).astype(np.intp)]
    return masks


def decide_labels(masks: Sequence[MaskValues], asked: LabelsAsked | None = None) -> Labels:
    """Decide what the values of all masks mean.

    Args:
        masks: which values occur in each.
        asked: what the user says; it comes before names and values.

    Raises:
        ConfigError: ``asked`` is not a convention and no mapping of values to tissues.
        DataError: values without a meaning, with every patient who has them, or the question which
            of several meanings they have.
    """
    if asked is not None:
        check_asked(asked)
    groups: dict[Hint, list[MaskValues]] = {}
    for mask in masks:
        groups.setdefault(mask.hint, []).append(mask)
    classes: dict[str, Mapping[int, int]] = {}
    problems: list[DataError] = []
    told: dict[str, int] = {}
    cautions: list[Caution] = []
    for hint, group in groups.items():
        try:
            tissues, why = _tissues(hint, group, asked)
        except DataError as error:
            problems.append(error)
            continue
        known = {value: CLASS_OF[tissue] for value, tissue in tissues.items()}
        problems += _without_meaning(group, known, why)
        classes.update((mask.patient, known) for mask in group)
        words = f"{_in_words(tissues)} ({why})"
        told[words] = told.get(words, 0) + len(group)
        cautions += _of_cavities(group, tissues)
        if asked is None and hint.family == "other" and hint.names is None:
            cautions += _by_values_alone(group, tissues)
    raise_problems(problems)
    cautions += _of_classes(masks, classes)
    if len(told) == 1:
        words = next(iter(told))
    else:
        words = "; ".join(f"of {patients_in_words(n)} {words}" for words, n in told.items())
    return Labels(classes=classes, words=words, cautions=tuple(cautions))


def _tissues(
    hint: Hint, group: Sequence[MaskValues], asked: LabelsAsked | None
) -> tuple[dict[int, str], str]:
    """Return the tissue of each value of a group, and the reason."""
    if isinstance(asked, str):
        return _of(CONVENTIONS[asked]), f"{CONVENTIONS[asked].words}, as the audit file says"
    if asked is not None:
        named = {value: tissue_named(name) or BACKGROUND for value, name in asked.items()}
        return {0: BACKGROUND, **named}, "as the audit file says"
    raise_problems(names_at_fault([hint]))
    if hint.names is not None:
        return {0: BACKGROUND, **dict(hint.names)}, "by the names in dataset.json"
    convention = convention_of(hint.family, {mask.patient: mask.values for mask in group})
    if hint.family == "msd":
        return _of(convention), f"{convention.words}, since dataset.json names no labels"
    decided = (
        "the values alone" if hint.family == "other" else "the names of the files and the values"
    )
    return _of(convention), f"{convention.words}, by {decided}"


def _of(convention: Convention) -> dict[int, str]:
    return {0: BACKGROUND, **convention.tissues}


def _without_meaning(
    group: Sequence[MaskValues], known: Mapping[int, int], why: str
) -> list[DataError]:
    """A problem for each mask with values that nothing explains."""
    problems = []
    for mask in group:
        unknown = [f"{value:.7g}" for value in mask.values if value not in known]
        if unknown:
            more = len(unknown) - _MOST_LISTED
            listed = ", ".join(unknown[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")
            problems.append(
                DataError(
                    f"label values {listed} are outside {sorted(known)} ({why}); mend the mask or "
                    "say by data.labels what each value is",
                    patient=mask.patient,
                    file=mask.file,
                )
            )
    return problems


def _in_words(tissues: Mapping[int, str]) -> str:
    """``1 edema, 2 necrosis as non-enhancing, 3 enhancing``."""
    told = []
    for value, tissue in sorted(tissues.items()):
        if value:
            ours = CLASSES[CLASS_OF[tissue]]
            told.append(f"{value} {tissue}" + (f" as {ours}" if tissue != ours else ""))
    return ", ".join(told)


def patients_in_words(count: int) -> str:
    """``1 patient`` or ``3 patients``."""
    return "1 patient" if count == 1 else f"{count} patients"


def _of_cavities(group: Sequence[MaskValues], tissues: Mapping[int, str]) -> list[Caution]:
    cavities = {value for value, tissue in tissues.items() if tissue == CAVITY}
    patients = tuple(mask.patient for mask in group if cavities & set(mask.values))
    if not patients:
        return []
    words = (
        f"A resection cavity, in the masks of {patients_in_words(len(patients))}, is no "
        "longer a tumour and is read as background."
    )
    return [Caution(kind="labels", grave=False, words=words, patients=patients)]


def _by_values_alone(group: Sequence[MaskValues], tissues: Mapping[int, str]) -> list[Caution]:
    """A caution if other conventions give the values that occur another meaning.

    It is grave if neither 3 nor 4 occurs: most conventions have the values 1 and 2.
    """
    found = sorted(
        {int(value) for mask in group for value in mask.values if value in tissues} - {0}
    )
    taken = [name for name, one in CONVENTIONS.items() if _of(one) == tissues]
    rivals = [name for name, one in CONVENTIONS.items() if _differs(one, tissues, found)]
    if not taken or not rivals:
        return []
    meanings = ", or ".join(_meaning(CONVENTIONS[name], found) for name in rivals)
    words = (
        "Nothing but the values says what the masks show. They are read as "
        f"{_meaning(CONVENTIONS[taken[0]], found)}. As well they can be {meanings}. Say by "
        f"data.labels which: {' or '.join((taken[0], *rivals))}."
    )
    patients = tuple(mask.patient for mask in group)
    return [Caution(kind="labels", grave=max(found) < 3, words=words, patients=patients)]


def _differs(one: Convention, tissues: Mapping[int, str], found: Sequence[int]) -> bool:
    """Whether a convention explains all values that occur, and takes some for another class."""
    if not one.tissues.keys() >= set(found):
        return False
    return any(CLASS_OF[one.tissues[value]] != CLASS_OF[tissues[value]] for value in found)


def _meaning(one: Convention, found: Sequence[int]) -> str:
    """``1 edema, 2 non-enhancing (MSD Task01)``."""
    told = ", ".join(f"{value} {one.tissues[value]}" for value in found)
    return f"{told} ({one.words})"


def _of_classes(
    masks: Sequence[MaskValues], classes: Mapping[str, Mapping[int, int]]
) -> list[Caution]:
    """A caution if a tumour class never occurs, grave if two of three do not."""
    seen = {classes[mask.patient][int(value)] for mask in masks for value in mask.values}
    never = [name for number, name in enumerate(CLASSES) if number and number not in seen]
    if not never or len(never) == len(CLASSES) - 1:
        return []
    if len(never) == 1:
        words = f"No mask shows any {never[0]} tumour: nothing is measured on that class."
    else:
        words = (
            f"Two of the three tumour classes ({' and '.join(never)}) never occur in the masks: "
            "nothing is measured on them, and the network learns the whole tumour at most."
        )
    return [Caution(kind="labels", grave=len(never) > 1, words=words)]
