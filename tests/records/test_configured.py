"""A configured plug-in: what makes two equal, and what tells several apart."""

from __future__ import annotations

import json
from typing import Any

import pytest

from leakaudit.records import Configured, written
from leakaudit.records.configured import assigned, labels, varying
from tests.configured import a_defense, a_plugin


def test_numbers_are_equal_however_they_are_written_and_truth_is_no_number() -> None:
    assert a_plugin("A(x=8, y='a')") == a_plugin('A(y="a", x=8.0)')
    assert hash(a_plugin("A(x=8)")) == hash(a_plugin("A(x=8.0)"))
    assert a_plugin("A(x=True)") != a_plugin("A(x=1)")
    assert a_plugin("A(x=1)") != a_plugin("B(x=1)")


@pytest.mark.parametrize(
    "value", [1, 1.0, 1e-5, True, None, "1", "inf", (1, 2.0), ((1, "a"), (2, "b")), ()]
)
def test_what_is_written_is_read_back_with_its_type_and_in_its_place(value: Any) -> None:
    made = Configured.of("A", {"z": value, "a": 0})
    for found in (
        Configured.model_validate_json(made.model_dump_json()),
        Configured.model_validate(json.loads(json.dumps(made.model_dump(mode="json")))),
    ):
        assert str(found) == str(made)
        assert found == made


def test_what_is_no_plain_value_is_text() -> None:
    made = Configured.of("A", {"std": float("inf"), "kind": int, "sizes": [1, [2, float("nan")]]})
    assert made.values == {"std": "inf", "kind": repr(int), "sizes": (1, (2, "nan"))}


def test_a_defense_is_written_as_its_parts_in_order() -> None:
    assert written(a_defense("A(x=1) + B(y='b')")) == "A(x=1) + B(y='b')"
    assert written(()) == "no defense"


def test_only_the_parameters_that_differ_are_named() -> None:
    texts = ("A(n=1, m=(0, 1), k='x')", "A(n=2, m=(0, 1), k='y')", "B(n=1)")
    first, second, alone = map(a_plugin, texts)
    found = varying([first, second, alone, first])
    assert {one: assigned(found[one]) for one in found} == {
        first: "n=1 k=x",
        second: "n=2 k=y",
        alone: "",
    }
    assert varying([a_plugin("A(n=1)"), a_plugin("A()")])[a_plugin("A(n=1)")] == {"n": 1}


def test_a_setting_is_labelled_by_what_differs_from_settings_of_the_same_plugins() -> None:
    texts = ("", "A(n=1, m=0)", "A(n=2, m=0)", "B(n=1)", "B(n=1) + A(n=1, m=0)")
    defenses = [a_defense(text) if text else () for text in texts]
    assert list(labels(defenses).values()) == ["no defense", "A n=1", "A n=2", "B", "B + A"]
