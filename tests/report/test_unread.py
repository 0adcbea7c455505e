"""What an attack is known not to read stands in the limits of every report that uses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from leakaudit.cli.commands.disguises import table_lines
from leakaudit.records.readings import Reading, Readings
from leakaudit.report.text.unread_disguises import holes, shipped
from leakaudit.threat.disguises.composed import disguises
from tests.report.sample import sample_report

DOCS = Path(__file__).parents[2] / "docs" / "disguises.md"


def reading(attack: str, disguise: str, *, reads: bool) -> Reading:
    return Reading(
        attack=attack, disguise=disguise, score=0.5, floor=0.25, advantage=1 / 3, reads=reads
    )


TABLE = Readings(
    size=32,
    patients=4,
    seed=0,
    readings=(
        reading("activation-inversion", "none", reads=True),
        reading("activation-inversion", "offset", reads=False),
        reading("activation-inversion", "third decimal", reads=False),
        reading("decoder-inversion", "none", reads=True),
        reading("decoder-inversion", "offset", reads=True),
    ),
)


def test_each_hole_is_said_once_for_each_attack() -> None:
    record = sample_report()
    said = holes(record, TABLE)
    assert "activation-inversion does not read" in said[0]
    assert "behind: offset, third decimal. A defense" in said[0]
    assert not any("decoder-inversion" in one for one in said)
    plugins = tuple(
        one.model_copy(update={"requires": ("weight-gradients",)}) for one in record.plugins
    )
    assert holes(record.model_copy(update={"plugins": plugins}), TABLE) == ()


def test_an_attack_that_was_not_tried_is_said_to_be_so() -> None:
    nothing = TABLE.model_copy(update={"readings": ()})
    said = holes(sample_report(), nothing)
    assert len(said) == 3
    assert all("was not tried" in one for one in said)


@pytest.mark.parametrize("table", [TABLE, shipped()], ids=["made", "shipped"])
def test_the_table_is_as_wide_as_a_terminal(table: Readings) -> None:
    lines = [part for line in table_lines(table) for part in line.split("\n")]
    assert max(map(len, lines)) <= 80
    assert sum(line.endswith(("yes", "NO")) for line in lines) == len(table.readings)


def test_the_shipped_table_is_whole_and_stands_in_the_docs() -> None:
    table = shipped()
    for attack in table.attacks:
        tried = [one.disguise for one in table.readings if one.attack == attack]
        assert tried == ["none", *disguises(table.seed)]
        assert "none" not in table.unread(attack)
    assert "\n".join(table_lines(table)) in DOCS.read_text(encoding="utf-8")
