"""The matrix as text: what stands in it, and that it fits the terminal."""

from __future__ import annotations

import pytest

from leakaudit.cli.printing.summary import print_matrix
from leakaudit.records import CellRecord, ReportRecord, State
from tests.configured import a_plugin
from tests.report.figures_sample import watched_report
from tests.report.sample import members_leak_more, narrow_report, sample_report

SWEPT = "ActivationInversion(iterations={}, tv=0.01)"


def swept(*iterations: int) -> ReportRecord:
    """The sample with its activation inversion made once for each number of iterations."""

    def made(cell: CellRecord) -> list[CellRecord]:
        if cell.attack_name != "activation-inversion":
            return [cell]
        return [
            cell.model_copy(
                update={"cell": f"{cell.cell}-{number}", "attack": a_plugin(SWEPT.format(number))}
            )
            for number in iterations
        ]

    cells = tuple(one for cell in sample_report().cells for one in made(cell))
    return sample_report(cells=cells)


@pytest.mark.parametrize("columns", [80, 100])
@pytest.mark.parametrize("iterations", [(100,), (100, 1000)])
def test_the_matrix_fits_and_breaks_no_word(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    columns: int,
    iterations: tuple[int, ...],
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    print_matrix(swept(*iterations))
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines()) <= columns
    words = out.split()
    assert {"unsupported", "ActivationDropout", "inversion", "0.912", "centralised"} <= set(words)
    assert ("iterations=100" in words) == (len(iterations) > 1)
    assert "tv=0.01" not in words


def test_every_figure_of_a_sweep_is_labelled_and_states_alike_are_said_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    print_matrix(swept(100, 200))
    table = capsys.readouterr().out.partition("\n\n")[0].splitlines()
    assert sum("iterations=100 0." in line for line in table) == 3
    assert sum("iterations=200 0." in line for line in table) == 3
    (dp,) = [line for line in table if line.startswith("DpGaussian")]
    assert dp.split()[2:4] == ["control", "failed"]


def test_a_sweep_over_several_parameters_is_labelled_by_letters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    record = swept(100, 200)
    cells = tuple(
        one.model_copy(update={"attack": a_plugin(SWEPT.format(200).replace("0.01", "0.02"))})
        if one.attack == a_plugin(SWEPT.format(200))
        else one
        for one in record.cells
    )
    print_matrix(record.model_copy(update={"cells": cells}))
    table, _, rest = capsys.readouterr().out.partition("ActivationInversion a:")
    assert sum("a 0." in line for line in table.splitlines()) == 3
    assert sum("b 0." in line for line in table.splitlines()) == 3
    legend = " ".join(rest.partition("\n\n")[0].split())
    assert legend == "iterations=100 tv=0.01; b: iterations=200 tv=0.02"


@pytest.mark.parametrize("columns", [80, 100])
def test_many_attacks_are_shown_in_parts_and_no_word_is_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    record = sample_report()
    names = (
        "feature-space-hijacking",
        "pseudo-client-inversion",
        "transcript-inversion",
        "learned-gradient-inversion",
    )
    more = [
        cell.model_copy(update={"cell": f"{cell.cell}-{name}", "attack_name": name})
        for name in names
        for cell in record.cells
        if cell.attack_name == "activation-inversion" and not cell.control_only
    ]
    worst = tuple(
        one.model_copy(update={"recovers": "other-site images", "victims": "training"})
        for one in record.worst
    )
    changed = {"cells": (*record.cells, *more), "worst": (*record.worst, *worst)}
    print_matrix(record.model_copy(update=changed))
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines()) <= columns
    count = 3 if columns == 80 else 2
    assert f"({count} of {count})" in " ".join(out.split())
    assert "other sites' images" in out
    whole = {word for name in names for word in name.split("-")}
    assert whole | {"activation", "decoder", "inversion"} <= set(out.split())


def test_a_reason_names_the_site_and_the_batch(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    record = sample_report()
    failed = next(cell for cell in record.cells if cell.state is State.CONTROL_FAILED)
    changed = failed.model_copy(
        update={"cell": "other", "site": "T1w+T1gd", "gradient_batch": 4, "reason": "of old"}
    )
    print_matrix(record.model_copy(update={"cells": (*record.cells, changed)}))
    out = capsys.readouterr().out
    wanted = f"{failed.attack_name} with T1w+T1gd in batches of 4: 1 cell control-failed: of old"
    assert wanted in out.splitlines()


def test_an_attack_under_two_threats_has_two_named_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    record = sample_report()
    more = [
        cell.model_copy(update={"cell": f"{cell.cell}-again", "threat": "curious-server"})
        for cell in record.cells
        if cell.attack_name == "activation-inversion" and not cell.control_only
    ]
    print_matrix(record.model_copy(update={"cells": (*record.cells, *more)}))
    heading = capsys.readouterr().out.partition("\nno defense")[0].split()
    assert heading.count("activation") == 2
    assert heading.count("by") == 2


def test_a_bottleneck_has_a_table_of_its_own_that_names_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    record = narrow_report()
    targets = tuple(
        one.model_copy(update={"state": State.FAILED, "reason": "broke off"})
        if one.target == "target-2-3"
        else one
        for one in record.targets
    )
    print_matrix(record.model_copy(update={"targets": targets}))
    out = capsys.readouterr().out
    plain, _, narrow = out.partition("cut level 2, skips 0+1, channels 4, seed 1:")
    assert "ActivationDropout" in narrow
    assert "GaussianNoise" not in narrow
    assert "cut level 2, skips 0+1, seed 1:" in plain
    assert "DpGaussian(epsilon=8.0, delta=1e-05) at cut 2, skips 0+1, channels 4, seed 1" in narrow


def test_members_of_the_training_set_have_a_row_of_their_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_matrix(members_leak_more())
    out = capsys.readouterr().out
    table = out.partition("\n\n")[0].splitlines()
    rows = [line.split()[2:] for line in table if line.startswith("no defense")]
    # Dice, then activation, decoder and gradient inversion, then the worst and the floor.
    assert rows == [
        ["0.712", "0.912", "0.874", "-", "0.912", "0.297"],
        ["0.712", "-", "-", "0.987", "0.987", "0.297"],
    ]
    assert out.count("training patients") == 8


def test_cells_that_saw_other_epochs_are_told_apart(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_matrix(watched_report())
    out = capsys.readouterr().out
    assert {"e=0", "e=0+4", "e=0+2+4"} <= set(out.split())
    assert max(len(line) for line in out.splitlines()) <= 80
    print_matrix(sample_report())
    assert "e=0" not in capsys.readouterr().out
