"""A comparison as text: what a reader sees, in 80 columns, and that names in it are inert."""

from __future__ import annotations

import pytest

from leakaudit.comparison import caveat_sentences, compare_reports, comparison_text
from leakaudit.records import Configured, ReleasedTensor, ReportRecord, State
from tests.comparison.changed import (
    IDENTITY,
    NOISE,
    NOISY,
    RISE,
    dice_moved,
    failed,
    masks,
    moved,
    moved_cell,
    one_cell,
    with_cells,
    with_targets,
)
from tests.configured import a_defense, a_plugin
from tests.report.sample import leakage, sample_report

SAMPLE = sample_report()
HOSTILE = (
    "<script>alert(1)</script>\x1b[31m\N{RIGHT-TO-LEFT OVERRIDE}{{7*7}}\r\n=cmd|'/c'!A0\x9b"
    + "y" * 99
)


def shown(a: ReportRecord, b: ReportRecord, *, only_changes: bool = False) -> str:
    found = compare_reports(a, b)
    text = comparison_text(found, ("runs/a", "runs/b"), only_changes=only_changes)
    assert max(map(len, text.splitlines())) <= 80
    assert all(char == "\n" or char.isprintable() for char in text)
    assert "nan" not in text.lower()
    return text


def line_of(text: str, start: str, after: str = "") -> str:
    rest = text.partition(after)[2] if after else text
    return next(one for one in rest.splitlines() if one.strip().startswith(start))


def flat(text: str) -> str:
    return " ".join(text.split())


def test_equal_reports_say_so_and_nothing_else() -> None:
    text = shown(SAMPLE, SAMPLE)
    assert "No difference in any figure, state, claim or verdict of 14 settings and 24" in text
    assert "Without a figure in either: 0 settings, 9 cells." in flat(text)
    assert "SSIM" not in text
    assert len(text.splitlines()) <= 10


def test_figures_stand_beside_their_difference_and_its_interval() -> None:
    text = shown(SAMPLE, moved(IDENTITY, RISE))
    head, _, _ = text.partition("settings  cells")
    assert "leakage is shown to be higher in 1 cell and Dice to be lower in 0 settings" in flat(
        head
    )
    cell = line_of(text, "decoder-inversion by curious-server")
    assert cell.endswith("WORSE")
    assert line_of(text, "SSIM, n=5", cell).split() == [
        *("SSIM,", "n=5", "0.874", "0.900", "+0.026", "[+0.018,", "+0.034]", "higher")
    ]
    assert line_of(text, "advantage", cell).endswith("higher")
    assert "1.00 [0.48, 1.00] -> 1.00 [0.48, 1.00]" in line_of(text, "picked out", cell)
    assert "Not listed (equal; no figure in either): 13 settings, 23 cells." in flat(text)


def test_what_is_not_shown_is_said_so() -> None:
    text = shown(SAMPLE, moved(IDENTITY, NOISY))
    assert "Not shown to be worse" in text
    assert "That does not show that nothing changed." in flat(text)
    assert "not shown" in line_of(text, "SSIM, n=5")
    assert "one that contains 0 does not show a difference" in flat(text)
    short = shown(SAMPLE, moved(IDENTITY, NOISY), only_changes=True)
    assert "SSIM, n=5" not in short
    assert "Not listed (no difference shown; equal; no figure in either)" in flat(short)


def test_states_are_shown_as_states_and_no_figure_beside_them() -> None:
    withheld = {"state": State.CONTROL_FAILED, "leakage": None, "withheld": leakage(0.4242)}
    text = shown(SAMPLE, one_cell(IDENTITY, **withheld, reason="positive control: too low"))
    assert line_of(text, "decoder-inversion").endswith("FIGURE LOST")
    assert "    ok -> control-failed" in text.splitlines()
    assert "      B: positive control: too low" in text.splitlines()
    assert "0.42" not in text
    assert not line_of(text, "B:", "FIGURE LOST").endswith("]")
    assert "SSIM, n=" not in text
    assert "advantage, n=" not in text
    assert "Of 1 cell and 0 settings nothing can be said" in text
    back = shown(one_cell(IDENTITY, **failed()), SAMPLE)
    assert line_of(back, "decoder-inversion").endswith("FIGURE GAINED")
    assert "0.874" not in back


def test_a_figure_that_is_missing_is_never_0() -> None:
    other = one_cell(
        IDENTITY, leakage=leakage(0.9).model_copy(update={"patients": leakage(0.9).patients[:3]})
    )
    text = shown(SAMPLE, other)
    assert line_of(text, "SSIM").split()[-3:] == ["-", "no", "interval"]
    assert "not over the same patients" in text


def test_masks_and_dice_have_rows_of_their_own() -> None:
    before = (0.41, 0.52, 0.47, 0.60, 0.44)
    after = tuple(one + more for one, more in zip(before, RISE, strict=True))
    made = [
        one_cell(IDENTITY, recovers="masks", leakage=None, mask_leakage=masks(scores))
        for scores in (before, after)
    ]
    text = shown(made[0], made[1])
    assert line_of(text, "mask Dice, n=5").endswith("higher")
    assert "picked out" not in text.partition("SSIM is taken")[0]
    lower = with_targets(
        lambda one: dice_moved(one, [-x for x in RISE]) if one.target == "target-1-1" else one
    )
    dice = shown(SAMPLE, lower)
    assert line_of(dice, "GaussianNoise(std=1.0)").endswith("WORSE")
    assert line_of(dice, "Dice, n=5").endswith("lower")


def test_what_one_audit_alone_made_is_listed_and_counted() -> None:
    fewer = with_cells(lambda one: None if one.cell == IDENTITY else one)
    text = shown(SAMPLE, fewer)
    assert line_of(text, "only in A").split()[-2:] == ["0", "1"]
    listed = flat(text.partition("Only in A")[2])
    assert "decoder-inversion by curious-server, 3 releases: DecoderInversion(epochs=40)" in listed
    assert "Only in B" not in text
    gone = with_targets(lambda one: None if one.target == "target-1-1" else one)
    gone = gone.model_copy(
        update={"cells": tuple(one for one in gone.cells if one.target != "target-1-1")}
    )
    other = shown(gone, SAMPLE)
    assert line_of(other, "only in B").split()[-2:] == ["1", "3"]
    assert "GaussianNoise(std=1.0): training ok, 3 cells" in other.partition("Only in B")[2]


def test_an_attack_on_one_tensor_names_it() -> None:
    def on(level: int, by: tuple[float, ...]) -> ReportRecord:
        (one,) = [cell for cell in SAMPLE.cells if cell.cell == IDENTITY]
        tensor = ReleasedTensor(site=2, level=level)
        more = one.model_copy(update={"cell": f"{IDENTITY}-{level}", "tensor": tensor})
        return sample_report(cells=(*SAMPLE.cells, moved_cell(more, by)))

    changed = shown(on(1, (0.0,) * 5), on(1, RISE))
    assert "decoder-inversion by curious-server, level 1 of data site 2 alone" in flat(changed)
    assert "releases:" not in changed  # the tensor tells it from the attack on all
    lone = flat(shown(on(1, RISE), on(0, RISE)))
    assert "curious-server, level 1 of data site 2 alone, 3 releases" in lone.partition("in A")[2]
    assert "curious-server, level 0 of data site 2 alone, 3 releases" in lone.partition("in B")[2]


def test_an_approximate_match_is_marked_and_what_changed_is_said() -> None:
    other = with_cells(
        lambda one: (
            moved_cell(
                one.model_copy(update={"attack": a_plugin("DecoderInversion(epochs=20)")}),
                [-x for x in RISE],
            )
            if one.cell == NOISE
            else one
        )
    )
    text = shown(SAMPLE, other)
    assert "DecoderInversion epochs, 40 -> 20 (1 cell matched approximately)" in flat(text)
    assert "decoder-inversion by curious-server ~" in text
    assert "not counted as better" in flat(text)
    assert "BETTER" not in text


def noised(std: float, by: tuple[float, ...], dice: tuple[float, ...]) -> ReportRecord:
    """The sample with another standard deviation of its noise, and what came of it."""
    found = with_cells(lambda one: moved_cell(one, by) if one.cell == NOISE else one)
    targets = tuple(
        dice_moved(one, dice).model_copy(update={"defense": a_defense(f"GaussianNoise(std={std})")})
        if one.target == "target-1-1"
        else one
        for one in found.targets
    )
    return found.model_copy(update={"targets": targets})


def test_a_defense_that_was_changed_is_what_the_comparison_starts_with() -> None:
    fall = tuple(-one for one in RISE)
    text = shown(SAMPLE, noised(2.0, fall, fall))
    head, _, _ = text.partition("settings  cells")
    assert (
        "- a defense that was changed: GaussianNoise std, 1.0 -> 2.0 (1 setting, 3 cells matched "
        "approximately)"
    ) in flat(head)
    assert (
        "Changed: GaussianNoise std, 1.0 -> 2.0. On it, of 2 cells and 1 setting with figures in "
        "both, leakage is shown to be higher in 0 and lower in 1 cell, Dice to be lower in 1 and "
        "higher in 0 settings. Worse: of "
    ) in flat(head)
    row = line_of(text, "GaussianNoise(std=1.0) ~")
    assert row.endswith("WORSE")
    assert text.partition(row)[2].splitlines()[1] == "  GaussianNoise std, 1.0 -> 2.0"
    assert line_of(text, "decoder-inversion by curious-server ~", row).endswith("BETTER")
    assert "Only in" not in text
    weaker = shown(SAMPLE, noised(0.5, RISE, RISE))
    assert "leakage is shown to be higher in 1 and lower in 0 cells" in flat(weaker)
    assert "Worse: of " in weaker


def test_settings_without_a_counterpart_stand_with_their_figures() -> None:
    zero = (0.0,) * 5
    first = noised(1.0, zero, zero)
    other = first.model_copy(
        update={
            "targets": tuple(
                one.model_copy(update={"defense": (Configured(name=HOSTILE),)})
                if one.target == "target-1-1"
                else one
                for one in first.targets
            )
        }
    )
    text = shown(first, other)
    head, _, rest = text.partition("settings  cells")
    told = "What was changed has no counterpart: in A GaussianNoise(std=1.0); in B <script>"
    assert told in flat(head)
    assert "They are not compared; the figures of both stand at the end. Not shown" in flat(head)
    _, _, alone = rest.partition("\nOnly in A\n")
    mine, _, theirs = alone.partition("\nOnly in B\n")
    for told in (mine, theirs):
        assert "      Dice 0.694 [" in told
        assert "SSIM 0.781 [0.744, 0.818], n=5: decoder-inversion by curious-server" in flat(told)
    assert "0.337" not in text  # of a weaker attack
    failing = with_targets(
        lambda one: (
            one.model_copy(
                update={
                    "defense": a_defense("Other()"),
                    "state": State.FAILED,
                    "reason": "broke off",
                }
            )
            if one.target == "target-1-1"
            else one
        )
    )
    alone = shown(SAMPLE, failing).partition("\nOnly in B\n")[2]
    assert "Other(): training failed, 3 cells" in alone
    assert "no Dice" in alone


def test_a_sweep_is_told_apart_by_its_parameters() -> None:
    def swept(by: tuple[float, ...]) -> ReportRecord:
        (one,) = [cell for cell in SAMPLE.cells if cell.cell == IDENTITY]
        more = one.model_copy(
            update={"cell": "more", "attack": a_plugin("DecoderInversion(epochs=80)")}
        )
        return sample_report(cells=(*SAMPLE.cells, moved_cell(more, by)))

    text = shown(swept((0.0,) * 5), swept(RISE))
    assert "DecoderInversion(epochs=80)" in text
    assert "DecoderInversion(epochs=40)" not in text


def test_code_that_no_version_tells_of_is_a_caveat() -> None:
    other = with_cells(lambda one: one.model_copy(update={"cell": f"new-{one.cell}"}))
    (told,) = caveat_sentences(compare_reports(SAMPLE, other))
    assert told.startswith("24 cells of 24 in both have another key")
    assert "Read with care" in shown(SAMPLE, other)
    (same,) = caveat_sentences(compare_reports(SAMPLE, moved(IDENTITY, RISE)))
    assert same.startswith("1 cell of the same key")


def test_what_to_read_with_care_stands_before_anything_that_is_compared() -> None:
    other = moved(IDENTITY, RISE).model_copy(
        update={"versions": {**SAMPLE.versions, "torch": "2.10.0"}}
    )
    text = shown(SAMPLE, other)
    heading, _, rest = text.partition("\nRead with care\n")
    assert rest.startswith("- another version: torch, 2.9.0 -> 2.10.0\n")
    assert [line[:3] for line in heading.splitlines() if line[:1].strip()] == ["A  ", "B  "]
    care, _, compared = rest.partition("\n\n")
    assert all(line.startswith(("- ", "  ")) for line in care.splitlines())
    assert compared.startswith("Worse: of ")
    alike = shown(SAMPLE, sample_report(versions={**SAMPLE.versions, "torch": "2.10.0"}))
    assert alike.index("Read with care") < alike.index("No difference")


def test_nothing_that_is_the_same_is_said_to_be_compared() -> None:
    other = sample_report(
        cells=tuple(one.model_copy(update={"seed": 2}) for one in SAMPLE.cells),
        targets=tuple(one.model_copy(update={"seed": 2}) for one in SAMPLE.targets),
    )
    text = shown(SAMPLE, other)
    assert "Nothing is compared" in text
    assert "Not shown to be worse" not in text


@pytest.mark.parametrize("width", [0, 200])
def test_hostile_names_are_inert(width: int) -> None:
    name = HOSTILE + "z" * width
    stack = (Configured(name=name, parameters=((name, name),)),)
    before = sample_report(
        name=name,
        cells=tuple(
            one.model_copy(
                update={"attack_name": name, "threat": name, "attack": a_plugin(f"A(x={n})")}
            )
            for n, one in enumerate(SAMPLE.cells)
        ),
        targets=tuple(one.model_copy(update={"defense": stack}) for one in SAMPLE.targets),
        versions={name: name, "leakaudit": name},
    )
    after = sample_report(
        name=name,
        cells=tuple(
            one.model_copy(update={**failed(name), "attack_name": name, "threat": name})
            for one in SAMPLE.cells
        ),
        targets=tuple(
            one.model_copy(update={"defense": stack, "state": State.FAILED, "reason": name})
            for one in SAMPLE.targets
        ),
        versions={},
    )
    for one, other in ((before, after), (after, before), (before, SAMPLE), (SAMPLE, before)):
        text = comparison_text(compare_reports(one, other), (name, name))
        assert max(map(len, text.splitlines())) <= 80
        assert all(char == "\n" or char.isprintable() for char in text)
        assert "[U+202E]" in text
        for told in caveat_sentences(compare_reports(one, other)):
            assert told.isprintable()


def test_numbers_that_no_measure_gives_keep_the_width() -> None:
    odd = leakage(0.9).ssim_brain.model_copy(update={"mean": 1e300, "low": -1e300})
    other = one_cell(IDENTITY, leakage=leakage(0.9).model_copy(update={"ssim_brain": odd}))
    shown(SAMPLE, other)
