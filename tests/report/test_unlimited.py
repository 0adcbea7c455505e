"""What a policy does not limit is shown with figures; the first page is about what it judges."""

from __future__ import annotations

import pytest

from leakaudit.records import State
from leakaudit.report import render_html
from leakaudit.report.text.formatting import percent, singled_out
from leakaudit.report.text.verdicts import verdict_view
from leakaudit.report.text.words import SUPPORTS, headline
from leakaudit.report.views.exposed import public_words
from tests.policy.test_judging import threshold
from tests.report.sample import leakage, sample_report
from tests.report.test_limits import judged_by, section

KEY = "target-2-2"
PASSING = judged_by(threshold(limit=0.9))


def test_what_was_measured_and_not_limited_has_its_highest_figure() -> None:
    view = verdict_view(PASSING)
    assert view is not None
    assert view.unlimited.measured == (
        "advantage over a blind guess: 0.61 on average over 5 patients",
        "share of patients picked out: 100\N{NO-BREAK SPACE}% of 5 patients",
        "tumour Dice on reconstructions: the tumour is still found with a Dice of 0.51, where the "
        "originals give 0.71",
        "loss of mean Dice to the undefended network of the same cut: a mean Dice of 0.66, where "
        "the undefended network reaches 0.68; one of the two may be worth no more than an "
        "untrained network",
    )
    assert view.unlimited.unmeasured == (
        "Dice of recovered masks",
        "share of patients matched by what was released",
        "epsilon of the guarantee on what is released",
    )
    ssim = verdict_view(judged_by(threshold("reidentification", 0.5), targets=(KEY, "target-2-1")))
    assert ssim is not None
    # Of several settings, the one whose figure it is.
    assert ssim.unlimited.measured[0].startswith(
        "SSIM inside the brain: 0.74 on average over 5 patients, 0.77 for the worst single one ("
    )
    assert "Gaussian noise, std 1.0" in ssim.unlimited.measured[0]


def test_the_worst_single_patient_is_of_the_setting_that_is_named() -> None:
    record = judged_by(threshold("reidentification", 0.5), targets=(KEY, "target-2-1"))
    cells = []
    for one in record.cells:
        found = one.leakage
        if one.target == KEY and found is not None:
            exposed = found.patients[0].model_copy(update={"ssim_brain": 0.99})
            found = found.model_copy(update={"patients": (exposed, *found.patients[1:])})
        cells.append(one.model_copy(update={"leakage": found}))
    view = verdict_view(record.model_copy(update={"cells": tuple(cells)}))
    assert view is not None
    named = view.unlimited.measured[0]
    assert "0.77 for the worst single one (Gaussian noise, std 1.0" in named
    # The sentence below it is about all of them, and names that patient's figure.
    assert "0.99 for the worst single patient" in headline(
        record.model_copy(update={"cells": tuple(cells)}), {KEY, "target-2-1"}
    )


def test_a_cell_without_a_valid_figure_is_no_figure() -> None:
    cells = tuple(
        one.model_copy(update={"state": State.CONTROL_FAILED}) if one.target == KEY else one
        for one in PASSING.cells
    )
    view = verdict_view(PASSING.model_copy(update={"cells": cells}))
    assert view is not None
    assert len(view.unlimited.measured) == 1
    assert view.unlimited.measured[0].startswith("loss of mean Dice")


@pytest.mark.slow
def test_the_first_sentence_is_about_what_is_judged() -> None:
    html = render_html(PASSING)
    text = section(html, "verdict")
    proposed, every = headline(PASSING, {KEY}), headline(PASSING)
    assert proposed != every
    assert "0.73 (95" in proposed
    assert proposed.endswith(SUPPORTS)
    assert text.index("What is up for use: Within the tested") < text.index("All settings, those")
    assert html.count('<p class="fine lead">') == 1
    held = "limit on SSIM inside the brain of the worst patient: 0.76; at most 0.90 is allowed."
    assert text.count(held) == 1
    assert "What is up for use" not in section(render_html(sample_report()), "verdict")


def test_the_higher_of_chance_and_a_blind_guess_is_named() -> None:
    measured = leakage(0.8).reidentification
    better = measured.model_copy(update={"blind_top1": 0.12, "chance": 0.043})
    assert singled_out(better).endswith(f"; a blind guess {percent(0.12)})")
    worse = measured.model_copy(update={"blind_top1": 0.01, "chance": 0.043})
    assert singled_out(worse).endswith(f"; chance {percent(0.043)})")


def test_the_public_summary_is_about_what_is_proposed() -> None:
    words = public_words(PASSING)
    assert "With the protections that are proposed for use it was 100" in words
    assert "%, at least, since" not in words
    assert "% at least, since some attempts gave no result." in words
    assert "proposed" not in public_words(sample_report())


def test_a_guarantee_that_is_asked_for_and_not_claimed_is_said_plainly() -> None:
    view = verdict_view(judged_by(threshold("epsilon", 8.0), threshold(limit=0.9)))
    assert view is not None
    assert view.meaning == "The policy asks for a guarantee that is not claimed."
    assert view.told[0].lead == (
        "1 of 2 limits is without the guarantee asked for. The policy asks for a guarantee on what "
        "is released, of an epsilon of at most 8. There is none that counts: the defense makes "
        "none."
    )


@pytest.mark.slow
def test_no_cell_is_left_blank_and_no_role_allows() -> None:
    cells = tuple(
        one.model_copy(update={"leakage": one.leakage.model_copy(update={"further": {}})})
        if one.leakage
        else one
        for one in PASSING.cells
    )
    html = render_html(PASSING.model_copy(update={"cells": cells}))
    assert "Allowed by: officer, on 2026-01-31." in section(html, "policy")
    assert "only where HIPAA applies" in section(html, "responsible")
    assert "\N{EN DASH} (not recorded)" in html  # of the mean of MAE
    alone = sample_report(
        cells=tuple(one for one in sample_report().cells if one.victims == "inference")
    )
    assert "Training patients attacked as wellnone" in section(
        render_html(alone), "reproducibility"
    )
    assert section(html, "worst").count("A mean hides who is hurt most") == 1
    assert "An average hides" not in html
