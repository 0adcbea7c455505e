"""What the values of masks mean, decided for a whole folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from leakaudit.config import DataConfig
from leakaudit.data.conventions import CONVENTIONS, Family
from leakaudit.data.labels import Hint, MaskValues, decide_labels, to_classes, values_in
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
    (alone,) = decide_labels(masks("other", (1, 2, 3))).cautions
    assert "write data.labels: msd" in alone.words
    assert decide_labels(masks("other", (1, 2, 3)), "msd").cautions == ()


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
        ({1: "edma"}, "label 1: 'edma' is no tissue that can be read; did you mean 'edema'"),
        ({0: "edema"}, "label 0"),
        ({-1: "edema"}, "from 0 to 65535"),
        ({1: "tumor core"}, "no tissue"),
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
