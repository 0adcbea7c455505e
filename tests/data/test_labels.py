"""What the values of masks mean, decided for a whole folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from leakaudit.config import DataConfig
from leakaudit.data.naming.conventions import CONVENTIONS, Family
from leakaudit.data.naming.labels import Hint, MaskValues, decide_labels, to_classes, values_in
from leakaudit.errors import ConfigError, DataError, PatientsError

FOUR = {1: 2, 2: 1, 4: 3}


def masks(family: Family, *values: tuple[float, ...], names: Any = None) -> list[MaskValues]:
    return [
        MaskValues(
            patient=f"p{number}",
            file=f"p{number}_seg.nii.gz",
            hint=Hint(family=family, names=names),
            values=(0.0, *map(float, each)),
        )
        for number, each in enumerate(values)
    ]


def classes(family: Family, *values: tuple[float, ...], asked: Any = None) -> dict[int, int]:
    decided = decide_labels(masks(family, *values), asked).classes["p0"]
    return {value: ours for value, ours in decided.items() if value}


@pytest.mark.parametrize(
    ("family", "values", "expected"),
    [
        ("msd", [(1, 2, 3)], {1: 1, 2: 2, 3: 3}),
        ("brats-2012", [(1, 2, 3, 4)], {1: 2, 2: 1, 3: 2, 4: 3}),
        ("brats-2018", [(1, 2, 4), (2,)], FOUR),
        ("brats-2018", [(1, 2)], FOUR),
        ("brats-2018", [(1, 2, 3)], {1: 2, 2: 1, 3: 3}),
        ("brats-2023", [(1, 2, 3)], {1: 2, 2: 1, 3: 3}),
        ("brats-peds", [(1, 2), (1, 2, 3, 4)], {1: 3, 2: 2, 3: 2, 4: 1}),
        ("other", [(1, 2, 4)], FOUR),
        ("other", [(1,)], {1: 1}),
        ("other", [(255,)], {255: 1}),
        ("brats-2018", [(1,), (1,)], {1: 1}),
    ],
)
def test_one_convention_is_left(
    family: Family, values: list[tuple[float, ...]], expected: dict[int, int]
) -> None:
    assert classes(family, *values) == expected


@pytest.mark.parametrize(
    ("family", "values", "words"),
    [
        ("brats-2023", [(1, 2, 4)], "which: brats-2018 or brats-2024$"),
        ("brats-2023", [(1, 2, 3), (4,)], "which: brats-2024 or brats-2012 or brats-peds, or {1: "),
        ("other", [(1, 2, 3, 4)], "which: brats-2024 or brats-2012 or brats-peds$"),
        ("brats-2012", [(1, 2)], r"2 tumour core \(as first .*\{1: edema, 2: non-enhancing\} or"),
        ("brats-peds", [(1, 2, 3)], "brats-peds or brats-2023"),
        ("brats-peds", [(1,)], "brats-peds or brats-2023"),
    ],
)
def test_where_several_fit_the_user_is_asked(
    family: Family, values: list[tuple[float, ...]], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        decide_labels(masks(family, *values))


def test_the_user_decides_over_names_and_values() -> None:
    names = ((1, "edema"), (2, "enhancing"))
    decided = decide_labels(masks("msd", (1, 2), names=names), {1: "NCR", 2: "SNFH"})
    assert decided.classes["p0"] == {0: 0, 1: 2, 2: 1}
    words = "1 necrosis as non-enhancing, 2 edema (as the audit file says)"
    assert decided.words == words
    assert classes("brats-2023", (1, 2, 3, 4), asked="brats-2024")[4] == 0


def test_names_that_are_unknown_matter_only_where_the_user_does_not_decide() -> None:
    hint = Hint(family="msd", listing="dataset.json", fault="labels 'Nekrose' are unknown")
    (mask,) = masks("msd", (1, 2))
    unclear = [MaskValues(**{**vars(mask), "hint": hint})]
    with pytest.raises(DataError, match="Nekrose") as caught:
        decide_labels(unclear)
    assert caught.value.file == "dataset.json"
    assert decide_labels(unclear, {1: "edema", 2: "necrosis"}).classes["p0"] == {0: 0, 1: 1, 2: 2}


def test_every_value_without_a_meaning_is_named_with_its_patient() -> None:
    with pytest.raises(PatientsError) as caught:
        decide_labels(masks("msd", (1, 9, 1.5), (1, 2), (7,)))
    first, second = caught.value.problems
    assert (first.patient, second.patient) == ("p0", "p2")
    assert "label values 9, 1.5 are outside [0, 1, 2, 3] (MSD Task01, since" in str(first)
    assert "p2: p2_seg.nii.gz: label values 7 are outside" in str(caught.value)


@pytest.mark.parametrize("values", [(1, 255), (1, 3, 4.5), (2, 9)])
def test_values_in_no_convention_are_refused(values: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match=r"label values .* are outside"):
        decide_labels(masks("other", values))


def test_values_that_scaling_left_a_little_off_are_whole() -> None:
    stored = np.array([0, 1, 2, 3, 3], np.int16) * (3 / 32767) * 10922.0
    values = stored + np.array([0, 4e-4, -4e-4, 0, 0])
    assert values_in(values) == (0.0, 1.0, 2.0, 3.0)
    assert to_classes(values, {0: 0, 1: 2, 2: 1, 3: 3}).tolist() == [0, 2, 1, 3, 3]
    assert values_in(np.array([0, 0.998])) == (0.0, 0.998)
    assert values_in(np.array([[2, 2]], np.uint8)) == (2.0,)


def test_cautions() -> None:
    def told(*values: tuple[float, ...], family: Family = "msd", asked: Any = None) -> list[Any]:
        cautions = decide_labels(masks(family, *values), asked).cautions
        return [(one.kind, one.grave, one.patients) for one in cautions]

    assert told((1, 2, 3)) == []
    assert told((1, 2), (2,)) == [("labels", False, ())]
    assert told((1,), family="other") == [("labels", True, ())]
    assert told((1, 2, 3), (4,), family="other", asked="brats-2024") == [("labels", False, ("p1",))]


@pytest.mark.parametrize(
    ("values", "grave", "which"),
    [
        ((1, 2, 3), False, "brats-2023 or msd or brats-2012 or brats-peds."),
        ((1, 2, 4), False, "brats-2018 or brats-2024 or brats-peds."),
        ((1, 2), True, "brats-2018 or msd or brats-peds."),
        ((2,), True, "brats-2018 or msd or brats-peds."),
    ],
)
def test_what_rests_on_values_alone_is_said_with_the_other_meanings(
    values: tuple[float, ...], grave: bool, which: str
) -> None:
    decided = decide_labels(masks("other", values))
    assert decided.words.endswith("by the values alone)")
    told = next(one for one in decided.cautions if one.words.startswith("Nothing but the values"))
    assert (told.kind, told.grave, told.patients) == ("labels", grave, ("p0",))
    assert told.words.endswith(f"Say by data.labels which: {which}")
    if values == (1, 2):
        assert "read as 1 necrosis and non-enhancing, 2 edema (BraTS 2017 to 2021)" in told.words
        assert "As well they can be 1 edema, 2 non-enhancing (MSD Task01), or 1 enh" in told.words
    answered = decide_labels(masks("other", values), "brats-2018" if 3 not in values else "msd")
    assert not any("Nothing but the values" in one.words for one in answered.cautions)
    known = decide_labels(masks("brats-2018", values))
    assert not any("Nothing but the values" in one.words for one in known.cautions)


def test_groups_of_a_folder_are_decided_apart() -> None:
    older, newer = masks("brats-2018", (1, 2, 4)), masks("brats-2023", (1, 2, 3), (1, 2, 3))
    renamed = [MaskValues(**{**vars(one), "patient": f"n{one.patient}"}) for one in newer]
    decided = decide_labels([*older, *renamed])
    assert decided.classes["p0"][4] == decided.classes["np1"][3] == 3
    assert decided.words.startswith("of 1 patient 1 necrosis and non-enhancing as non-enhancing")
    assert "; of 2 patients " in decided.words


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("brats-2032", "did you mean 'brats-20"),
        ({1: "edma"}, "label 1: 'edma' is not a tissue that can be read; did you mean 'edema'"),
        ({0: "edema"}, "label 0"),
        ({-1: "edema"}, "from 0 to 65535"),
        ({1: "tumor core"}, "not a tissue"),
    ],
)
def test_what_can_not_be_asked(asked: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        decide_labels(masks("msd", (1,)), asked)
    with pytest.raises(ValidationError, match=message):
        DataConfig(kind="folder", labels=asked)


def test_the_audit_file_keeps_labels_and_excluded_patients() -> None:
    data = DataConfig(kind="folder", labels={1: "edema", 2: "NCR"}, exclude=("a", "b"))
    assert DataConfig.model_validate(data.model_dump(mode="json")) == data
    with pytest.raises(ValidationError, match="kind is phantom"):
        DataConfig(labels="msd")


def test_the_guide_lists_every_convention_as_it_is() -> None:
    guide = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    for name, convention in CONVENTIONS.items():
        (row,) = (line for line in guide.splitlines() if line.startswith(f"| `{name}` |"))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        tissues = [convention.tissues.get(value, "") for value in (1, 2, 3, 4)]
        assert cells[2:] == tissues
        assert cells[1].startswith(convention.words)
