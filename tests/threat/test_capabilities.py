"""The table of capabilities is whole, is kept, and is the only one."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import torch

import leakaudit
from leakaudit.contracts import Capability, Observation, having
from leakaudit.contracts.observation import Granted
from leakaudit.randomness import generator_for
from leakaudit.threat.presets import PRESETS
from leakaudit.threat.system import System
from tests.threat.observed import observed, tensors_in

# The table itself, and what each preset grants.
TABLES = {"capabilities.py", "threat/presets.py"}
# No preset grants the first, and no site answers with the others.
NEVER_CONTROLLED = {
    *(Capability.MASKS, Capability.CANDIDATES, Capability.DEFENSE_PARAMETERS),
    Capability.ACTIVE_MANIPULATION,
}


@pytest.mark.parametrize("capability", Capability)
def test_each_row_is_whole_and_an_attribute_of_its_name_is_typed(capability: Capability) -> None:
    row = capability.row
    assert Capability(row.name) is capability
    for sentence in (row.words, row.holds):
        assert sentence.endswith(".")
    reader = vars(Observation)[row.attribute]
    assert isinstance(reader, Granted)
    assert (reader.capability, reader.__doc__) == (capability, row.holds)
    (kind,) = get_args(get_type_hints(Observation)[row.attribute])
    assert bool(row.asked) == ("Callable" in str(kind))


def test_no_attribute_is_granted_by_nothing() -> None:
    readers = [name for name, one in vars(Observation).items() if isinstance(one, Granted)]
    assert sorted(readers) == sorted(one.row.attribute for one in Capability)


def test_the_traits_stay_together() -> None:
    assert having("update", "batch") <= having("gradient")
    assert not having("release", "cohort release") & having("gradient")
    assert not having("release", "cohort release") & {one for one in Capability if one.row.asked}


def test_nothing_in_the_core_lists_capabilities_but_the_table_and_the_presets() -> None:
    root = Path(leakaudit.__file__).parent
    found = []
    for path in sorted(root.rglob("*.py")):
        where = path.relative_to(root).as_posix()
        source = path.read_text(encoding="utf-8")
        if where in TABLES or source.count("Capability.") < 2:
            continue
        for node in ast.walk(ast.parse(source)):
            elements: Sequence[ast.expr | None] = getattr(node, "elts", getattr(node, "keys", ()))
            named = [one for one in elements if isinstance(one, ast.Attribute)]
            if sum(ast.unparse(one.value) == "Capability" for one in named) > 1:
                found.append(f"{where}:{getattr(node, 'lineno', 0)}")
    assert not found


GIVEN = {
    "images": torch.rand(2, 4, 32, 32, generator=torch.Generator().manual_seed(0)),
    "masks": torch.zeros(2, 32, 32, dtype=torch.int64),
    "seed": 0,
    "gradients": None,
    "of_victims": True,
}


def shown(observation: Observation, capability: Capability) -> list[torch.Tensor]:
    value: Any = getattr(observation, capability.row.attribute)
    if capability.row.asked:
        given = GIVEN | {"generator": generator_for(0, "asked")}
        value = value(**{name: given[name] for name in signature(value).parameters})
    return list(tensors_in(value))


@pytest.mark.parametrize("capability", sorted({*Capability} - NEVER_CONTROLLED))
def test_a_control_changes_what_its_column_says_and_nothing_else(
    undefended: System, capability: Capability
) -> None:
    threat = next(one for one in PRESETS.values() if capability in one.capabilities)
    alone = replace(threat, capabilities=frozenset({capability}))
    own, shuffled, swapped = (
        shown(observed(undefended, alone, **control), capability)
        for control in ({}, {"shuffled": True}, {"returned": "nothing"})
    )
    assert own, "nothing was compared"
    assert all(map(torch.equal, own, shuffled)) == (capability.row.control != "shuffled")
    assert all(map(torch.equal, own, swapped)) == (capability.row.control != "swapped")
