"""The Markdown table of the worst cases."""

from __future__ import annotations

from leakaudit.records import Configured, State
from leakaudit.report import cells_table, worst_table
from tests.report.sample import members_leak_more, narrow_report, sample_report


def rows(text: str) -> list[list[str]]:
    lines = text.splitlines()
    assert all(line.startswith("| ") and line.endswith(" |") for line in lines)
    return [[part.strip() for part in line.strip("|").split("|")] for line in lines]


def test_a_row_for_each_worst_case_with_its_figures() -> None:
    record = members_leak_more()
    table = rows(worst_table(record))
    assert {len(row) for row in table} == {13}
    assert len(table) == 2 + len(record.worst)
    assert table[2][:6] == ["1", "0", "`no defense`", "inference", "images", "0.712"]
    assert table[2][6:] == [
        "activation-inversion by curious-server-with-encoder, 3 passes",
        "0.912 [0.876, 0.948]",
        "0.297",
        "0.875 [0.824, 0.926]",
        "1.00 (chance 0.07)",
        "on it",
        "none",
    ]
    front = [case.pareto for case in record.worst]
    assert [row[11] == "on it" for row in table[2:]] == front
    assert len(set(front)) == 2
    assert table[3][3:8] == [
        "training",
        "images",
        "0.712",
        "gradient-inversion by aggregator, before training and after epoch 4",
        "0.987 [0.951, 1.023]",
    ]


def test_a_bottleneck_is_named_with_the_cut() -> None:
    for table in (worst_table(narrow_report()), cells_table(narrow_report())):
        named = {(row[0], row[1], row[2].partition("(")[0]) for row in rows(table)[2:]}
        assert {("2", "0+1", "`no defense`"), ("2, channels 4", "0+1", "`DpGaussian")} <= named
        assert all(
            (channels == "2, channels 4") <= ("Dp" in d or "Drop" in d) for channels, _, d in named
        )


def test_a_setting_without_a_figure_has_dashes_and_the_states() -> None:
    cells = tuple(
        one.model_copy(update={"state": State.FAILED, "leakage": None, "reason": "x|y"})
        for one in sample_report().cells
    )
    for row in rows(worst_table(sample_report(cells=cells)))[2:]:
        assert row[6:11] == ["-"] * 5
        assert row[12].count("failed") == 3


def test_every_cell_has_a_row_with_the_size_of_its_batch_and_its_state() -> None:
    record = sample_report()
    cells = tuple(
        one.model_copy(update={"gradient_batch": 4 if one.victims == "training" else None})
        for one in record.cells
    )
    table = rows(cells_table(record.model_copy(update={"cells": cells})))[2:]
    asked = [cell for cell in cells if not cell.control_only]
    assert len(table) == len(asked)
    for row, cell in zip(table, asked, strict=True):
        assert (", batch 4" in row[5]) == (cell.victims == "training")
        assert row[10] == str(cell.state)
        assert (row[6:10] == ["-"] * 4) == (cell.state is not State.OK)


def test_rows_of_one_attack_with_several_parameters_and_seeds_differ() -> None:
    record = sample_report()
    cell = next(one for one in record.cells if not one.control_only and one.leakage is not None)
    steps = [
        cell.model_copy(
            update={
                "attack": Configured.of("Decoder", {"steps": steps, "rate": 0.1}),
                "seed": seed,
            }
        )
        for steps in (10, 20)
        for seed in (0, 1)
    ]
    table = rows(cells_table(record.model_copy(update={"cells": tuple(steps)})))[2:]
    assert len({tuple(row) for row in table}) == 4
    assert [row[0] for row in table] == [f"{cell.cut_level}, seed {seed}" for seed in (0, 1, 0, 1)]
    assert [row[5].split(" by ")[0].split()[1:] for row in table] == [
        ["steps=10"],
        ["steps=10"],
        ["steps=20"],
        ["steps=20"],
    ]


def test_no_name_breaks_the_table() -> None:
    record = sample_report()
    worst = tuple(
        one.model_copy(
            update={"defense": (Configured(name="a|b`c\n"),), "incomplete": ("x|y\u202e",)}
        )
        for one in record.worst
    )
    table = rows(worst_table(record.model_copy(update={"worst": worst})))
    assert {len(row) for row in table} == {13}
    assert table[2][2] == "`a b c ()`"
