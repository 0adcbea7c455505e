"""What the sections say of whom: coverage, worst patients, options, public summary."""

from __future__ import annotations

from leakaudit.audit.results.worst import worst_cases
from leakaudit.policy import judge
from leakaudit.records import CellRecord, PluginRecord, ReportRecord, State, ThreatRecord, Untested
from leakaudit.report import render_html
from leakaudit.report.page.compliance import CROSSWALK
from leakaudit.report.views.cards import cards
from leakaudit.report.views.coverage import attacks_met, budgets, kinds
from leakaudit.report.views.exposed import identified, most_exposed, outdone, public_words
from leakaudit.report.views.options import option_groups
from leakaudit.report.views.settings import matrices
from tests.policy.test_judging import policy, threshold
from tests.report.sample import VICTIMS, leakage, members_leak_more, sample_report
from tests.report.test_junit import judged
from tests.report.test_page import Page


def section(html: str, name: str) -> str:
    start = html.index(f'<section id="{name}"')
    return " ".join(Page(html[start : html.index("</section>", start)]).text.split())


def changed(record: ReportRecord, key: str, **changes: object) -> ReportRecord:
    cells = tuple(
        one.model_copy(update=changes) if one.cell == key else one for one in record.cells
    )
    return record.model_copy(update={"cells": cells, "worst": worst_cases(record.targets, cells)})


def failed(cell: CellRecord) -> dict[str, object]:
    return {"state": State.FAILED, "leakage": None, "reason": "x"}


def test_a_kind_of_attack_is_tested_only_by_a_valid_figure() -> None:
    record = sample_report()
    by_name = {kind.name: kind for kind in kinds(record)}
    assert by_name["Images of training patients"].attacks == ("gradient-inversion",)
    assert by_name["Tumour masks"].attacks == by_name["Tumour masks"].broken == ()
    assert by_name["Membership"].attacks == ()
    broken = tuple(
        one.model_copy(update=failed(one)) if one.attack_name == "gradient-inversion" else one
        for one in record.cells
    )
    record = sample_report(cells=broken)
    by_name = {kind.name: kind for kind in kinds(record)}
    assert by_name["Images of training patients"].attacks == ()
    assert by_name["Images of training patients"].broken == ("gradient-inversion",)
    assert attacks_met(record)["aggregator"] == ((), ("gradient-inversion",))
    text = section(render_html(record), "coverage")
    assert "Images of training patientsGradient inversion: NO VALID FIGURE" in text
    assert "Side channelsNOT TESTED" in text


def test_what_was_not_tried_has_a_row() -> None:
    threat = ThreatRecord(
        name="malicious-server",
        position="label site",
        behaviour="malicious",
        capabilities=("active-manipulation",),
        victims="training",
        words="Steers the encoders.",
    )
    attack = PluginRecord(
        name="house-attack", kind="attack", summary="Ours.", distribution="house", version="1.0"
    )
    untested = Untested(threats=(threat,), attacks=(attack,))
    html = render_html(sample_report(untested=untested))
    text = section(html, "coverage")
    assert "malicious-serverlabel site, malicious" in text
    assert "House attackattack, NOT TESTED" in text
    assert html.count('<tr class="untested">') == 2 + sum(
        not kind.attacks for kind in kinds(sample_report())
    )


def test_the_budget_of_an_attack_is_the_most_that_a_cell_of_it_spent() -> None:
    found = {one.attack_name: one for one in budgets(sample_report())}
    assert set(found) == {"activation-inversion", "decoder-inversion", "gradient-inversion"}
    assert all(one.cost is not None for one in found.values())


def test_a_patient_whom_a_weaker_attack_recovers_best_is_named() -> None:
    record = sample_report()
    assert outdone(record) == ()
    key = "cell-2-1-activation-inversion"
    weak = next(one for one in record.cells if one.cell == key)
    assert weak.leakage is not None
    first = weak.leakage.patients[0].model_copy(update={"ssim_brain": 0.99})
    patients = (first, *weak.leakage.patients[1:])
    record = changed(record, key, leakage=weak.leakage.model_copy(update={"patients": patients}))
    (found,) = outdone(record)
    assert (found.cell.cell, found.patient, found.score) == (key, VICTIMS[0], 0.99)
    assert f"{VICTIMS[0]}0.99" in section(render_html(record), "worst")


def test_who_is_most_exposed_is_so_in_more_settings_than_anybody_else() -> None:
    assert most_exposed(sample_report()) == (VICTIMS[2],)  # the widest spread of every cell
    alone = sample_report(targets=sample_report().targets[:1], cells=sample_report().cells[:1])
    assert most_exposed(alone) == ()


def test_options_of_one_kind_never_stand_among_those_of_another() -> None:
    record = members_leak_more()
    groups = option_groups(record)
    assert [group.kind for group in groups] == [
        "patients the network never saw in training",
        "patients of the training set",
    ]
    for group in groups:
        heights = [one.case.ssim_brain.mean for one in group.options if one.case.ssim_brain]
        assert heights == sorted(heights)
    text = section(render_html(record), "residual")
    assert text.count("Options on the front of attacks on") == 2


def test_the_public_summary_calls_best_only_what_protects_and_was_met_by_every_attack() -> None:
    words = public_words(sample_report())
    assert "Where nothing protected what is sent" in words
    assert "(No defense)" not in words
    key = "cell-2-1-decoder-inversion"
    record = sample_report()
    whole = public_words(record)
    broken = changed(record, key, state=State.FAILED, leakage=None, reason="x")
    assert "std 1.0" not in public_words(broken)
    nothing = tuple(one.model_copy(update=failed(one)) for one in record.cells)
    silent = sample_report(cells=nothing)
    assert public_words(silent).startswith("No attempt gave a result that can be relied on.")
    assert identified(silent) == ()
    assert whole != public_words(silent)


def test_a_setting_that_fails_its_policy_is_not_called_best() -> None:
    record = sample_report()
    targets = tuple(one.target for one in record.targets if one.kind == "split")
    strict = judged(0.001, *targets)
    assert "With the protection that did best" not in public_words(strict)


def test_the_first_page_has_the_setting_that_decided() -> None:
    record = judged(0.5, "target-2-2")
    shown = cards(matrices(record), record.verdict, most=1)
    (group,) = shown.groups
    (setting,) = group.settings
    assert setting.target is not None
    assert setting.target.target == "target-2-2"
    assert shown.left_out == 7
    assert cards(matrices(record), record.verdict).left_out == 0


def test_the_cross_walk_leads_to_sections_that_are_there() -> None:
    html = render_html(sample_report())
    for source, _, sections in CROSSWALK:
        assert source.split(",")[0] in section(html, "crosswalk")
        for name in sections:
            assert f'<section id="{name}"' in html
    assert "GDPR" in section(html, "crosswalk")


def test_linkability_is_said_not_to_be_tested_and_no_text_calls_anything_safe() -> None:
    html = render_html(judged(0.9, "target-2-2"))
    assert "NOT TESTED as a measure of its own" in section(html, "identity")
    text = Page(html).text.lower()
    for word in ("anonymous", "gdpr compliant", "certified", "no leakage"):
        assert word not in text
    assert leakage(0.2).reidentification.top1 == 0


def test_a_loss_of_dice_stands_beside_the_dice_that_it_is_lost_from() -> None:
    record = sample_report()
    limit = threshold("dice_loss", 0.9, quantifier="mean")
    verdict = judge(policy(limit), record.targets, record.cells, {"target-2-1"})
    html = render_html(record.model_copy(update={"verdict": verdict}))
    plain = next(one for one in record.targets if one.target == "target-2-0")
    assert plain.utility is not None
    text = " ".join(Page(html).text.split())
    assert f"The undefended network reaches a mean Dice of {plain.utility.mean.mean:.2f}" in text
    enhancing = plain.utility.by_class["enhancing"]
    assert f"and enhancing tumour {enhancing:.2f}." in text
