"""The figures that have a row or a line for each setting, as they stand in the page."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from leakaudit.audit.results.worst import worst_cases
from leakaudit.records import CellRecord, Configured, Leakage, ReportRecord, State, written
from leakaudit.report import render_html
from leakaudit.report.figures.epochs import epochs
from leakaudit.report.figures.heatmap import HeatTable, heat_tables, shade
from leakaudit.report.figures.modalities import modalities
from leakaudit.report.figures.patients import patients
from leakaudit.report.figures.places import places
from leakaudit.report.figures.tensors import tensors
from leakaudit.report.figures.tradeoff import tradeoffs
from leakaudit.report.text.words import headline
from leakaudit.report.views.rows import drawn_tensors
from leakaudit.report.views.settings import matrices
from tests.report.figures_sample import crowded_report, masks_report, tensors_report, watched_report
from tests.report.sample import MODALITIES, SITES, VICTIMS, leakage, protected_report, sample_report
from tests.report.test_page import HOSTILE, Page

pytestmark = pytest.mark.slow  # whole pages, many times


def section(record: ReportRecord) -> str:
    """The figures, and the worst patients with theirs."""
    html = render_html(record)
    found = []
    for name in ("exposure", "worst"):
        start = html.index(f'<section id="{name}"')
        found.append(html[start : html.index("</section>", start)])
    return "\n".join(found)


def heat(record: ReportRecord) -> tuple[HeatTable, ...]:
    return heat_tables(matrices(record))


def changed(record: ReportRecord, change: Callable[[CellRecord], CellRecord]) -> ReportRecord:
    return record.model_copy(update={"cells": tuple(change(one) for one in record.cells)})


# The heat map


def test_shades_are_equal_steps_and_nothing_below_the_floor_has_any() -> None:
    found = [
        shade(value) for value in (-5.0, -0.1, 0.0, 0.001, 0.2, 0.21, 0.4, 0.6, 0.81, 1.0, 1.5)
    ]
    assert found == [0, 0, 0, 1, 1, 2, 2, 3, 5, 5, 5]


def test_a_cell_without_a_valid_figure_is_hatched_and_has_words_for_a_number() -> None:
    (table,) = heat(sample_report())
    cells = [one for group in table.groups for row in group.rows for one in row.cells]
    assert len(cells) == 24
    for one in cells:
        assert one.cell is not None
        assert (one.advantage is not None) == (one.cell.record.state is State.OK)
    drawn = re.findall(r'<td class="(heat-[^"]+)">(.*?)</td>', section(sample_report()), re.S)
    hatched = [Page(content).text.strip() for name, content in drawn if name == "heat-none"]
    assert len(hatched) == sum(one.advantage is None for one in cells) == 9
    assert set(hatched) == {
        "Failed",
        "Not applicable",
        "Attack not shown to work",
        "Ran out of time",
        "Not run",
    }
    assert not re.search(r"\d", "".join(hatched))


def test_withheld_figures_are_not_in_the_heat_map() -> None:
    assert "0.1234" not in section(sample_report())
    assert "0.12" not in section(sample_report())


def test_the_strongest_of_a_setting_is_framed_and_a_doubtful_one_has_an_asterisk() -> None:
    (table,) = heat(sample_report())
    rows = [row for group in table.groups for row in group.rows]
    undefended, last = rows[0].cells, rows[3].cells
    assert [one.cell.worst for one in undefended if one.cell] == [True, False, True]
    assert [bool(one.doubtful) for one in undefended] == [False, False, False]
    assert last[1].doubtful  # 0.291 against a floor of 0.297
    text = Page(section(sample_report())).text
    assert "strongest here" in text
    assert "not shown to exceed the guess" in text


def repeated(cell: CellRecord, number: int) -> Configured:
    return cell.attack.model_copy(update={"name": f"{cell.attack.name}{number}"})


def test_many_attacks_are_rows_and_no_table_is_wider_than_eight() -> None:
    record = sample_report()
    more = [
        one.model_copy(
            update={
                "attack": repeated(one, n),
                "cell": f"{one.cell}-{n}",
            }
        )
        for one in record.cells
        for n in range(9)
    ]
    many = record.model_copy(update={"cells": tuple(more), "worst": record.worst})
    tables = heat(many)
    assert [len(table.columns) for table in tables] == [4, 4]  # settings of two cut levels
    assert all(len(table.groups[0].rows) == 27 for table in tables)
    crowded = heat(crowded_report())
    assert [len(table.columns) for table in crowded] == [2]
    wide = crowded_report()
    more = [
        one.model_copy(
            update={
                "attack": repeated(one, n),
                "cell": f"{one.cell}-{n}",
            }
        )
        for one in wide.cells
        for n in range(10)
    ]
    wide = wide.model_copy(update={"cells": tuple(more)})
    assert [len(table.columns) for table in heat(wide)] == [7, 7, 6]
    titles = [table.title for table in heat(wide)]
    assert len(set(titles)) == 3


def test_an_attack_that_was_not_planned_on_a_setting_is_no_zero() -> None:
    record = sample_report()
    fewer = record.model_copy(
        update={"cells": tuple(c for c in record.cells if c.cell != "cell-1-1-decoder-inversion")}
    )
    assert "Not planned" in Page(section(fewer)).text


# By what crosses


def test_a_line_needs_two_places() -> None:
    (inference, training) = places(matrices(sample_report()))
    assert inference.steps == ("cut 1, skip 0", "cut 2, all skips")
    assert [line.name for line in inference.lines] == [
        "No defense",
        "Gaussian noise",
        "Activation dropout",
    ]
    assert [line.name for line in training.lines] == ["No defense"]
    alone = crowded_report((2,))
    assert places(matrices(alone)) == ()
    assert "By what crosses" not in Page(section(alone)).text


def test_withheld_skips_are_places_too_and_bottlenecks_lines_of_their_own() -> None:
    (view,) = places(matrices(protected_report()))
    assert view.steps == ("cut 2, all skips", "cut 2, skip 1", "cut 2, no skip")
    names = [(line.name, line.details) for line in view.lines]
    assert ("Bottleneck", "4 channels") in names
    (plain,) = [line for line in view.lines if line.name == "No defense"]
    assert all(cell.score is not None for cell in plain.cells)
    (noise,) = [line for line in view.lines if line.name == "Gaussian noise + bottleneck"]
    assert [cell.missing for cell in noise.cells] == ["", "not in this audit", ""]
    text = " ".join(Page(section(protected_report())).text.split())
    assert "no attack that reads one alone is part of this audit" in text


def test_many_lines_are_small_plots_of_their_own() -> None:
    (view,) = places(matrices(crowded_report((1, 2))))
    assert view.wide is view.narrow is None
    assert len(view.facets) == 14
    assert len(view.lines) == 43
    for facet in view.facets:
        assert len(facet.panel.series) == 4  # the undefended system and three strengths
        assert len(facet.panel.crowd) == 40


# By what was observed


def test_without_a_difference_in_what_was_observed_there_is_no_figure() -> None:
    assert epochs(matrices(sample_report())) == ()
    assert "By what was observed" not in Page(section(sample_report())).text


def test_more_observed_epochs_are_further_right() -> None:
    first, second = epochs(matrices(watched_report()))
    assert first.steps == ("epoch 0", "epochs 0+4", "epochs 0+2+4")
    (line,) = first.lines
    means = [cell.score.mean for cell in line.cells if cell.score]
    assert means == sorted(means)
    assert len(means) == 3
    assert "Cut level 1" in first.title
    assert "Cut level 2" in second.title
    assert "By what was observed" in Page(section(watched_report())).text


# By modality and site


def test_modalities_stand_with_the_site_that_holds_them() -> None:
    first, _ = modalities(matrices(sample_report()))
    held = [tuple(name for name, _ in site.modalities) for site in first.sites]
    assert held == list(SITES)
    assert [site.name for site in first.sites] == ["Data site 1", "Data site 2"]
    markers = [path for site in first.sites for _, path in site.modalities]
    assert len(set(markers)) == len(MODALITIES)
    row = first.groups[0].rows[0]
    figures = row.entry.cell.leakage
    assert figures is not None
    assert [score for score, _ in row.scores] == list(figures.by_modality.values())
    assert [floor for _, floor in row.scores] == list(figures.blind_by_modality.values())


def test_results_that_were_written_before_have_no_such_figure() -> None:
    def before(cell: CellRecord) -> CellRecord:
        if cell.leakage is None:
            return cell
        dumped = cell.leakage.model_dump(exclude={"by_modality", "blind_by_modality"})
        return cell.model_copy(update={"leakage": Leakage.model_validate(dumped)})

    record = changed(sample_report(), before)
    assert modalities(matrices(record)) == ()
    assert "By modality and site" not in Page(section(record)).text


def test_of_other_sites_images_the_own_modalities_are_left_out() -> None:
    def at_site(cell: CellRecord) -> CellRecord:
        if cell.leakage is None:
            return cell
        scored = {name: cell.leakage.by_modality[name] for name in SITES[1]}
        return cell.model_copy(
            update={"leakage": cell.leakage.model_copy(update={"by_modality": scored})}
        )

    first, *_ = modalities(matrices(changed(sample_report(), at_site)))
    assert [site.name for site in first.sites] == ["Data site 2"]


# By released tensor


def test_each_tensor_stands_below_what_all_of_them_give_away() -> None:
    record = tensors_report()
    (view,) = tensors(matrices(record), drawn_tensors(record))
    assert len(view.groups) > 1
    for group in view.groups:
        rows = group.rows
        assert [row.entry.name for row in rows] == [
            "All that it sees",
            "Data site 1, level\N{NO-BREAK SPACE}0",
            "Data site 1, level\N{NO-BREAK SPACE}1",
            "Data site 1, level\N{NO-BREAK SPACE}2",
            "Data site 2, level\N{NO-BREAK SPACE}0",
        ]
        assert rows[0].entry.cell.record.tensor is None
        assert rows[2].drawn is None
        assert rows[2].scores == ()
        for row in (rows[0], rows[1], rows[3], rows[4]):
            figures = row.entry.cell.leakage
            assert figures is not None
            assert [score for score, _ in row.scores] == list(figures.by_modality.values())
    page = Page(section(record))
    assert "By released tensor" in page.text
    assert "no attack that reads one alone" not in page.text
    assert f'id="{view.anchor}"' in section(record)
    for row in view.groups[0].rows:
        if row.entry.cell.leakage is not None:
            picked = row.entry.cell.leakage.reidentification.top1
            assert f"{100 * picked:.0f}\N{NO-BREAK SPACE}%" in page.text
    assert [row.says_floors for row in view.groups[0].rows] == [True, False, False, False, False]


def test_without_a_valid_attack_on_all_the_first_row_says_why() -> None:
    def crash(one: CellRecord) -> CellRecord:
        if one.reads_all and one.attack_name == "decoder-inversion":
            return one.model_copy(update={"state": State.TIMED_OUT, "leakage": None})
        return one

    record = changed(tensors_report(), crash)
    for view in tensors(matrices(record), drawn_tensors(record)):
        for group in view.groups:
            first = group.rows[0]
            assert first.entry.name == "All that it sees"
            assert first.drawn is None
            assert first.entry.cell.record.state is State.TIMED_OUT
    record = record.model_copy(update={"worst": worst_cases(record.targets, record.cells)})
    of_two = [one for one in record.worst if one.cut_level == 2 and one.victims == "inference"]
    alone = [one for one in of_two if (one.worst or "").count("-") > 4]
    assert alone
    assert not any(one.pareto for one in alone)
    text = " ".join(Page(render_html(record)).text.split())
    assert "from one released tensor alone (level 0 of data site 1) with a mean SSIM" in text
    assert "Some planned attacks gave no valid figure" in text
    single = record.model_copy(
        update={"cells": tuple(one for one in record.cells if one.tensor is not None)}
    )
    assert "No attack that reads all it is shown gave a valid figure" in headline(single)


def test_kinds_of_victims_are_never_mixed_among_tensors() -> None:
    record = tensors_report()
    more = [
        one.model_copy(
            update={
                "cell": f"{one.cell}-training",
                "victims": "training",
                "threat": "curious-server-in-training",
            }
        )
        for one in record.cells
        if one.tensor is not None
    ]
    both = record.model_copy(update={"cells": (*record.cells, *more)})
    found = tensors(matrices(both), drawn_tensors(both))
    for view in found:
        for group in view.groups:
            assert len({row.entry.cell.record.victims for row in group.rows}) == 1
    assert len(found) == 2 * len(tensors(matrices(record), drawn_tensors(record)))


def test_a_tensor_that_gives_most_away_is_the_strongest_everywhere() -> None:
    def more(one: CellRecord) -> CellRecord:
        strong = one.tensor is not None and one.tensor.site == 2 and one.leakage is not None
        return one.model_copy(update={"leakage": leakage(0.97)}) if strong else one

    record = changed(tensors_report(), more)
    record = record.model_copy(update={"worst": worst_cases(record.targets, record.cells)})
    tops = {one.worst for one in record.worst if one.cut_level == 2 and one.victims == "inference"}
    assert any("decoder-inversion-2-0" in (one or "") for one in tops)
    drawn = [
        one.cell for table in heat(record) for g in table.groups for r in g.rows for one in r.cells
    ]
    assert tops & {one.record.cell for one in drawn if one is not None and one.worst}

    def crash(one: CellRecord) -> CellRecord:
        if one.tensor is None or one.tensor.site != 2:
            return one
        return one.model_copy(update={"state": State.FAILED, "leakage": None})

    hidden = changed(record, crash)
    for one in worst_cases(hidden.targets, hidden.cells):
        attacked = {c.target for c in hidden.cells if c.tensor is not None}
        assert not (one.pareto and one.target in attacked and one.victims == "inference")


def test_an_attack_on_one_tensor_is_no_row_of_the_heat_map_and_misleads_nobody() -> None:
    record = tensors_report(crashed=())
    assert heat(record) == heat(sample_report())
    before = {(one.target, one.victims): one for one in sample_report().worst}
    for case in record.worst:
        old = before[case.target, case.victims]
        assert (case.worst, case.weakest, case.pareto) == (old.worst, old.weakest, old.pareto)
        assert case.misled_by == old.misled_by
    assert tensors(matrices(sample_report()), drawn_tensors(sample_report())) == ()
    assert "By released tensor" not in Page(section(sample_report())).text


# By patient


def test_the_highest_patient_is_marked_and_named_unless_nobody_may_be() -> None:
    tables = matrices(sample_report())
    first = patients(tables)[0].groups[0].rows[0]
    assert first.cell.leakage is not None
    scores = {one.patient: one.ssim_brain for one in first.cell.leakage.patients}
    assert first.patient == max(scores, key=lambda name: scores[name])
    assert first.highest == max(scores.values())
    assert first.lowest == min(scores.values())
    assert first.median == sorted(scores.values())[2]
    assert first.count == len(VICTIMS)
    unnamed = patients(tables, named=False)
    assert {row.patient for view in unnamed for each in view.groups for row in each.rows} == {""}


def test_the_median_of_an_even_number_is_a_patients_own_score() -> None:
    found = [view for view in patients(matrices(masks_report(40))) if "mask" in view.unit]
    (masks,) = found
    row = masks.groups[0].rows[0]
    assert row.cell.masks is not None
    scores = sorted(one.dice for one in row.cell.masks.patients)
    assert row.median == scores[20]
    assert row.count == 40
    assert "Dice of the recovered mask" in Page(section(masks_report(40))).text


def test_settings_without_a_valid_attack_have_no_row() -> None:
    rows = [
        row for view in patients(matrices(sample_report())) for g in view.groups for row in g.rows
    ]
    assert all((row.cell.leakage or row.cell.masks) is not None for row in rows)
    assert len(rows) == 7 + 2


# The trade-off of many settings


def test_many_settings_name_the_front_and_every_defense_has_a_small_plot() -> None:
    (view,) = tradeoffs(matrices(crowded_report()))
    assert view.wide is not None
    assert view.narrow is not None
    for panel in (view.wide, view.narrow):
        named = {one.point.name for one in panel.points}
        front = {row.name for row in view.rows if row.pareto}
        assert len(panel.points) + len(panel.dots) == 43
        assert "No defense" in named
        assert len(named) == len(panel.points)
        assert len(front) > 0
        assert all(one.point.pareto or one.point.shape < 0 for one in panel.points)
        assert not any(one.point.pareto for one in panel.dots)
    assert len(view.facets) == 14
    for facet in view.facets:
        assert [len(path.split("L")) for path in facet.panel.sweeps] == [3]
        assert len(facet.panel.points) == 4
        assert len(facet.panel.dots) == 39
    html = render_html(crowded_report())
    assert "The numbers of all settings" in html
    assert "\N{HORIZONTAL ELLIPSIS}" not in html[html.index('id="tradeoff"') :]


def test_few_settings_have_one_plot_and_no_small_ones() -> None:
    for view in tradeoffs(matrices(sample_report())):
        assert view.facets == ()
    assert "small plots" not in Page(render_html(sample_report())).text


# All of them


@pytest.fixture(scope="module")
def harmless() -> tuple[tuple[ReportRecord, set[str]], ...]:
    """Reports whose names are harmless, with the elements of their figures."""
    made_up = (watched_report(), crowded_report((1, 2), 5), masks_report(3), tensors_report())
    return tuple((made, {tag for tag, _ in Page(section(made)).tags}) for made in made_up)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_inert_in_every_figure(
    name: str, harmless: tuple[tuple[ReportRecord, set[str]], ...]
) -> None:
    for made, tags in harmless:
        renamed = made.model_copy(
            update={
                "targets": tuple(
                    one.model_copy(
                        update={
                            "defense": (Configured(name=f"{name}{written(one.defense)}"),),
                            "sites": ((name,), tuple(MODALITIES[1:])),
                        }
                    )
                    for one in made.targets
                ),
                "cells": tuple(_renamed(one, name) for one in made.cells),
            }
        )
        html = section(renamed)
        found = Page(html)
        assert {tag for tag, _ in found.tags} <= tags
        assert not any("onload" in attributes for _, attributes in found.tags)
        assert "\u202e" not in html
        assert name.replace("\u202e", "[U+202E]") in found.text


def _renamed(cell: CellRecord, name: str) -> CellRecord:
    leakage = cell.leakage
    if leakage is not None:
        scores = {name: leakage.by_modality[MODALITIES[0]], **leakage.by_modality}
        scores.pop(MODALITIES[0])
        people = tuple(
            one.model_copy(update={"patient": f"{name}{one.patient}"}) for one in leakage.patients
        )
        leakage = leakage.model_copy(update={"by_modality": scores, "patients": people})
    return cell.model_copy(
        update={
            "leakage": leakage,
            "defense": (Configured(name=f"{name}{written(cell.defense)}"),),
            "attack_name": f"{name}{cell.attack_name}",
            "threat": f"{name}{cell.threat}",
        }
    )


@pytest.mark.parametrize(
    "made",
    [watched_report, masks_report, crowded_report, protected_report, tensors_report],
    ids=lambda made: made.__name__,
)
def test_rendering_twice_is_byte_equal_and_identifiers_are_unique(
    made: Callable[[], ReportRecord],
) -> None:
    html = render_html(made())
    assert html == render_html(made())
    page = Page(html)
    named = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(named) == len(set(named))
    drawings = [attributes for tag, attributes in page.tags if tag == "svg"]
    for attributes in drawings:
        labelled = (attributes.get("aria-labelledby") or "").split()
        assert attributes.get("aria-hidden") == "true" or labelled
        assert set(labelled) <= set(named)


def test_without_any_cell_the_section_says_so() -> None:
    text = Page(section(sample_report(targets=(), cells=(), worst=()))).text
    assert "Nothing is drawn: the audit planned no attack." in text
