from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from leakaudit.audit.results.assemble import bounded
from leakaudit.privacy.gaussian import mu_of
from leakaudit.records import (
    Caution,
    Configured,
    Counts,
    Effect,
    ReportRecord,
    State,
    Success,
    TargetRecord,
)
from leakaudit.report import render_html
from tests.configured import a_plugin
from tests.report.sample import (
    NAME,
    leakage,
    members_leak_more,
    narrow_report,
    protected_report,
    sample_gallery,
    sample_report,
)

pytestmark = pytest.mark.slow  # whole pages, many times

HOSTILE = (
    "<script>alert(1)</script>",
    "{{7*7}}{% raw %}",
    "=cmd",
    "</style><b id=broken>",
    'a" onload="alert(1)',
    "gnp.\u202ereport",
)


class Page(HTMLParser):
    """Tags and attributes of a page, and its text but for style and script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._open.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("style", "script"):
            self.text += data


def hostile_report(name: str) -> ReportRecord:
    record = sample_report(name=name, audit={"name": name})
    cell = record.cells[0].model_copy(
        update={
            "attack": Configured(name=name),
            "attack_name": name,
            "threat": name,
            "notes": (name,),
        }
    )
    stack = (Configured(name=name, parameters=(("x", name), (name, 1))),)
    bad = record.cells[5].model_copy(update={"reason": name, "attack_name": name})
    target = record.targets[0].model_copy(update={"defense": stack, "fitted_defense": (stack,)})
    data = record.data.model_copy(update={"name": name, "modalities": (name,)})
    threat = record.threats[0].model_copy(update={"name": name, "words": name})
    return record.model_copy(
        update={
            "cells": (cell, *record.cells[1:5], bad, *record.cells[6:]),
            "targets": (target, *record.targets[1:]),
            "data": data,
            "threats": (threat, *record.threats[1:]),
        }
    )


def row_of(html: str, cell: str, record: ReportRecord) -> str:
    number = 1 + [one.cell for one in record.cells].index(cell)
    start = html.index(f'<tr id="cell-{number}" ')
    return html[start : html.index("</tr>", start)]


def test_rendering_twice_is_byte_equal() -> None:
    record = sample_report(images="full")
    assert render_html(record, sample_gallery()) == render_html(record, sample_gallery())


def test_the_policy_allows_exactly_our_own_style_and_script() -> None:
    html = render_html(sample_report())
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy is not None
    allowed = policy[1].replace("&#39;", "'")
    assert "default-src 'none'; img-src data:;" in allowed
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in allowed
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(script) < 4096


def test_nothing_is_inline_but_style_and_script_and_nothing_is_fetched() -> None:
    page = Page(render_html(sample_report(images="full"), sample_gallery()))
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "form", "base")
        for name, value in attributes.items():
            assert name != "style"
            assert not name.startswith("on")
            if name in ("src", "href"):
                assert value is not None
                assert value.startswith(("#", "data:image/png;base64,"))


def test_title_order_and_structure() -> None:
    html = render_html(sample_report())
    assert f"<title>Technical annex to the data protection impact assessment: {NAME}" in html
    page = Page(html)
    sections = [attributes["id"] for tag, attributes in page.tags if tag == "section"]
    assert sections == [
        *("verdict", "public", "scope", "policy", "coverage", "method", "matrix", "tradeoff"),
        *("exposure", "utility"),
        *("worst", "identity", "guarantees", "residual", "limits", "reproducibility"),
        *("responsible", "crosswalk", "glossary", "citations"),
    ]
    assert [tag for tag, _ in page.tags].count("h1") == 1
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(names) == len(set(names))
    tags = [tag for tag, _ in page.tags]
    assert tags.count("caption") == tags.count("table")
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")


def test_the_agreed_sentence_and_none_of_the_forbidden_words() -> None:
    text = " ".join(Page(render_html(sample_report())).text.split())
    assert "Within the tested attacks, budgets and data, the highest observed" in text
    assert "was 0.91 (95 % CI 0.88 to 0.95)" in text
    assert "This supports, and does not replace, the controller's case-by-case assessment." in text
    assert "say nothing about real patients" in text
    assert "would have reported 0.34, i.e. misled by 0.44." in text
    for word in ("anonymous", "gdpr compliant", "certified", "no leakage"):
        assert word not in text.lower()


def test_the_page_says_how_attacks_were_isolated_and_what_is_out_of_scope() -> None:
    record = sample_report()
    text = " ".join(Page(render_html(record)).text.split())
    kinds = [cell.isolation for cell in record.cells if cell.isolation]
    for kind in ("namespaces", "process"):
        assert f"Isolation: {kind}." in text
        assert f"{kinds.count(kind)} of {len(kinds)} ran with" in text
    assert "Guessing the public seed of a simulated patient is out of scope." in text
    bare = [cell.model_copy(update={"isolation": ""}) for cell in record.cells]
    changes = {"cells": tuple(bare), "counts": Counts.of(bare)}
    html = render_html(record.model_copy(update=changes))
    assert "Isolation" not in Page(html).text


def test_the_tumour_in_a_reconstruction_stands_between_its_floor_and_its_ceiling() -> None:
    record = sample_report()
    shown = next(cell for cell in record.cells if cell.leakage and not cell.control_only)
    assert shown.leakage is not None
    assert shown.leakage.harm is not None
    text = " ".join(Page(render_html(record)).text.split())
    mean = f"{shown.leakage.harm.reconstruction.mean:.2f}"
    assert f"finds the whole tumour in the reconstructions with a Dice of {mean}" in text
    assert "in the originals with 0.71, in the blind guess with 0.04" in text


def test_the_glossary_explains_the_terms_and_the_label_site_has_one_name() -> None:
    html = render_html(sample_report())
    glossary = html[html.index('id="glossary"') : html.index('<section id="citations"')]
    terms = re.findall(r"<dt>(.*?)</dt>", glossary)
    assert {"Label site", "Cut level", "Release", "Dice", "Blind floor", "Epsilon (ε)"} <= set(
        terms
    )
    assert len(terms) == len(set(terms))
    assert '<a href="#glossary">' in html
    text = Page(html[: html.index('id="glossary"')]).text.replace("curious-server", "")
    assert re.findall(r"[^.;:]*\bserver\b", text, re.IGNORECASE) == [" the label site (server"]


def test_releases_are_passes_times_slices_and_passes_only_what_is_seen() -> None:
    text = " ".join(Page(render_html(sample_report())).text.split())
    assert "in total over 96 releases of one patient that nothing was trained on (passes " in text
    assert "curious-server on patients the network never saw in training, 3 passes" in text
    assert "aggregator, before training and after epoch 4, on patients of the training set " in text
    assert "releases each" not in text


def test_cells_that_are_not_ok_show_state_and_reason_and_never_a_figure() -> None:
    record = sample_report()
    leaky = tuple(
        cell.model_copy(update={"leakage": record.cells[0].leakage, "reason": "stopped early"})
        if cell.state is not State.OK
        else cell
        for cell in record.cells
    )
    record = record.model_copy(update={"cells": leaky})
    html = render_html(record)
    for cell in record.cells:
        if cell.control_only:
            continue
        row = row_of(html, cell.cell, record)
        numbers = re.findall(r"\d\.\d\d", row)
        assert bool(numbers) == (cell.state is State.OK)
        if cell.state is not State.OK:
            assert "stopped early" in row
    assert "so what the attack scored, high or low, means nothing." in html


def test_withheld_figures_stand_in_details_alone_and_are_labelled() -> None:
    html = render_html(sample_report())
    outside = re.sub(r"<details>.*?</details>", "", html, flags=re.DOTALL)
    outside = outside[outside.index('id="matrix"') : outside.index('id="tradeoff"')]
    inside = re.findall(r'<div class="withheld">.*?</div>\s*</div>', html, re.DOTALL)
    assert len(inside) == 3
    assert all("Not a leakage figure" in block and "0.12" in block for block in inside)
    assert 'class="withheld"' not in outside
    assert "/withheld/" in html
    assert "/withheld/" not in outside


def test_no_valid_attack_is_not_called_safe() -> None:
    record = sample_report()
    cells = tuple(
        cell.model_copy(update={"state": State.FAILED, "leakage": None}) for cell in record.cells
    )
    worst = tuple(
        one.model_copy(update={"worst": None, "ssim_brain": None, "pareto": False})
        for one in record.worst
    )
    text = Page(render_html(record.model_copy(update={"cells": cells, "worst": worst}))).text
    assert "nothing can be said about what could be recovered" in text
    assert "This is not a sign of protection." in text
    assert "Nothing can be drawn" in text


def test_members_of_the_training_set_have_figures_of_their_own() -> None:
    record = members_leak_more()
    html = render_html(record)
    short = html[html.index('id="verdict"') : html.index('id="scope"')]
    texts = [" ".join(Page(part).text.split()) for part in short.split("<article>")[1:]]
    (undefended,) = [text for text in texts if "No defense" in text and "0.91" in text]
    assert "The strongest attack on patients of the training set, gradient inversion" in undefended
    assert "SSIM 0.91, patients the network never saw in training" in undefended
    assert "SSIM 0.99, patients of the training set" in undefended
    # Nothing is known of other patients where only an attack on members gave a figure.
    (none,) = [text for text in texts if "DP Gaussian" in text and "0.29" not in text]
    assert "SSIM 0.99, patients of the training set" not in none
    assert "The strongest attack on patients of the training set" in none
    panels = re.findall(r'<figure id="tradeoff-\d+">.*?</figure>', html, re.DOTALL)
    on_members = [panel for panel in panels if "· patients of the training set" in panel]
    assert len(panels) == 2 * len(on_members) == 4
    for panel in panels:
        assert ("0.99" in Page(panel).text) == (panel in on_members)
    other = Page(panels[2]).text
    assert "Not drawn: no attack gave a valid figure" in other


def test_a_row_says_which_gradients_its_adversary_saw() -> None:
    record = sample_report()
    text = " ".join(Page(render_html(record)).text.split())
    assert "on patients of the training set" in text
    assert ", before training and after epoch 4, on patients of the training set" in text
    cells = tuple(
        one.model_copy(update={"round_steps": 6}) if one.gradient_checkpoints else one
        for one in record.cells
    )
    text = " ".join(Page(render_html(sample_report(cells=cells))).text.split())
    assert (
        ", rounds of 6 steps, before training and after epoch 4, on patients of the training set"
        in text
    )


def test_the_scope_names_as_set_aside_only_who_was() -> None:
    record = sample_report()
    assert {one.victims for one in record.threats} == {"inference", "training"}
    of_members = tuple(one for one in record.threats if one.victims == "training")
    both, members = (
        " ".join(Page(render_html(sample_report(threats=threats))).text.split())
        for threats in (record.threats, of_members)
    )
    assert "were set aside as victims of the attacks" in both
    assert "set aside as victims" not in members
    assert "Attacks on the training itself were on " in both
    assert "Attacks on the training itself were on " in members


def test_the_scope_says_how_masks_were_read_and_who_was_left_out() -> None:
    record = sample_report()
    data = record.data.model_copy(
        update={"labels": "1 edema, 2 necrosis as non-enhancing (by names)", "excluded": ("Ü\n7",)}
    )
    text = " ".join(Page(render_html(record.model_copy(update={"data": data}))).text.split())
    assert "were taken as follows: 1 edema, 2 necrosis as non-enhancing (by names)." in text
    assert "1 patient was left out by the audit file: Ü 7." in text


def test_cautions_about_the_data_stand_on_the_first_page() -> None:
    record = sample_report()
    many = tuple(f"P{number}" for number in range(7))
    cautions = (
        Caution(kind="voxel-size", grave=True, words="Voxels are <b>flat</b>.", patients=many),
        Caution(kind="offset", grave=False, words="It was subtracted.", patients=("Ü\n7",)),
    )
    data = record.data.model_copy(
        update={
            "cautions": cautions,
            "clipped": {"T1w": 0.0, "FLAIR": 0.031},
            "split": record.data.split.model_copy(update={"repeats": ("sample-77",)}),
        }
    )
    html = render_html(record.model_copy(update={"data": data}))
    text = " ".join(Page(html[: html.index('id="scope"')]).text.split())
    assert (
        "Grave. voxel-size: Voxels are <b>flat</b>. 7 patients, among them P0, P1 and P2." in text
    )
    assert "offset: It was subtracted. 1 patient: Ü 7." in text
    assert "nothing passes with one that is open" in text
    text = " ".join(Page(html).text.split())
    assert "Rescaling set up to 3.1 % of a modality's voxels inside the brain to 0." in text
    assert "Further scans of persons, never attacked (1)sample-77" in text
    assert "Cautions about the data" not in render_html(record)


def test_without_a_panel_the_page_says_why() -> None:
    worst = tuple(one.model_copy(update={"recovers": "masks"}) for one in sample_report().worst)
    html = render_html(sample_report(worst=worst))
    text = " ".join(Page(html[html.index('id="tradeoff"') :]).text.split())
    assert '<figure id="tradeoff-' not in html
    assert "none gave a valid figure, and masks are not drawn" in text
    assert "One marker shape for each defense" not in text


def guarantees_of(epsilon: float, mu: float | None, **changes: object) -> str:
    """What the page says of the Gaussian mechanism's guarantee, made for another epsilon."""
    record = sample_report()
    targets = tuple(
        one.model_copy(
            update={
                "guarantee": one.guarantee.model_copy(
                    update={"epsilon": epsilon, "mu": mu, **changes}
                )
            }
        )
        if one.guarantee is not None and one.cut_level == 2
        else one
        for one in record.targets
    )
    html = render_html(record.model_copy(update={"targets": targets}))
    start = html.index('id="guarantees"')
    return " ".join(Page(html[start : html.index("</section>", start)]).text.split())


@pytest.mark.parametrize("claimed", [True, False])
@pytest.mark.parametrize("epsilon", [118.8, 302.7])
def test_a_claim_that_hides_nothing_is_called_so(epsilon: float, claimed: bool) -> None:
    reason = "" if claimed else "the noise comes from a published seed"
    for mu in (mu_of(epsilon, 1e-5), None):
        text = guarantees_of(epsilon, mu, claimed=claimed, reason=reason)
        assert f"Warning: an \u03b5 of {epsilon:g} hides nothing." in text
        assert "right in 99 % of cases or more, with 1 % false alarms" in text


def test_a_claim_that_hides_something_brings_its_noise_and_no_warning() -> None:
    text = guarantees_of(8.0, mu_of(8.0, 1e-5))
    assert "Claims (\u03b5, \u03b4) = (8, 1e\u221205)" in text
    assert "hides nothing" not in text
    # Measured, of the target of this claim; none where there is no epsilon to compare it with.
    assert text.count("Measured noise-to-signal: 612.40 (standard deviation") == 1


def test_a_reconstruction_bound_stands_beside_what_was_observed() -> None:
    record = sample_report()
    assert "Reconstruction bound" not in render_html(record)
    success = Success(
        threshold=0.5,
        reached=1,
        n=5,
        blind_name="mean",
        blind_reached=2,
        others=30,
        blind_limit=0.196,
    )
    target = next(one for one in record.targets if one.guarantee and one.guarantee.mu)

    def with_success(
        found: Success, field: str = "leakage", targets: tuple[TargetRecord, ...] = record.targets
    ) -> str:
        claim = next(one.guarantee for one in targets if one.target == target.target)
        figures = {"leakage": None, field: leakage(0.3).model_copy(update={"success": found})}
        cells = tuple(
            bounded(one.model_copy(update=figures), claim)
            if (one.target, one.attack_name) == (target.target, "decoder-inversion")
            else one
            for one in record.cells
        )
        html = render_html(record.model_copy(update={"cells": cells, "targets": targets}))
        start = html.index('id="guarantees"')
        return " ".join(Page(html[start : html.index("</section>", start)]).text.split())

    # A claim about weights, or about patients in training, bounds nothing of what crosses here.
    for covers in ("weights", "training releases", "training"):
        claim = target.guarantee.model_copy(update={"covers": covers}) if target.guarantee else None
        others = tuple(
            one.model_copy(update={"guarantee": claim}) if one.target == target.target else one
            for one in record.targets
        )
        assert "Reconstruction bound" not in with_success(success, targets=others)
    text = with_success(success)
    # Phi(Phi^-1(0.195) + 1.666) = 0.79
    assert "estimate under this prior" in text
    assert "SSIM inside the brain of 0.50 for more than 79 % of patients" in text
    assert "for 2 of the 30 patients that are no victims" in text
    assert "for at most 20 % of such patients (95 % limit)" in text
    assert "Observed: 1 of 5 victims, by decoder inversion (curious-server)" in text
    sure = success.model_copy(update={"blind_reached": 30, "blind_limit": 1.0})
    assert "for more than 100 % of patients" in with_success(sure)
    # Of an attack whose control failed the prior counts, and what it reached does not.
    withheld = with_success(success, "withheld")
    assert "SSIM inside the brain of 0.50 for more than 79 % of patients" in withheld
    assert "Observed" not in withheld
    assert "No attack here has a valid figure to set beside it." in withheld


def test_an_empty_record_renders() -> None:
    html = render_html(sample_report(targets=(), cells=(), worst=(), references=(), plugins=()))
    assert "no attack gave a valid figure" in html
    assert "asks for no reference trainings" in html


def test_a_target_that_failed_says_why() -> None:
    record = sample_report()
    failed = record.targets[1].model_copy(
        update={"utility": None, "state": State.FAILED, "reason": "loss became NaN"}
    )
    worst = tuple(
        one.model_copy(update={"dice": None}) if one.target == failed.target else one
        for one in record.worst
    )
    targets = (record.targets[0], failed, *record.targets[2:])
    html = render_html(record.model_copy(update={"targets": targets, "worst": worst}))
    assert html.count("loss became NaN") >= 3


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_inert(name: str) -> None:
    record = hostile_report(name)
    clean = Page(render_html(sample_report()))
    html = render_html(record)
    page = Page(html)
    tags = {tag for tag, _ in page.tags}
    assert tags == {tag for tag, _ in clean.tags}
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not any("onload" in attributes for _, attributes in page.tags)
    assert "\u202e" not in html
    assert name.replace("\u202e", "[U+202E]") in page.text


def test_five_hundred_cells_stay_small() -> None:
    record = sample_report()
    cells = tuple(
        cell.model_copy(update={"cell": f"{cell.cell}-{copy}"})
        for copy in range(20)
        for cell in record.cells
    )
    assert len(cells) >= 500
    assert len(render_html(record.model_copy(update={"cells": cells})).encode()) < 5_000_000


def test_the_report_needs_no_torch() -> None:
    code = (
        "import sys; import leakaudit.report as r; from leakaudit.records import ReportRecord; "
        "record = ReportRecord.model_validate_json(sys.stdin.read()); "
        "r.render_html(record); r.cells_csv(record); "
        "bad = {'torch', 'monai', 'leakaudit.audit'} & set(sys.modules); assert not bad, bad"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=sample_report().model_dump_json(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_worst_attack_without_a_rival_under_its_conditions_is_not_called_the_only_one() -> None:
    record = sample_report()
    worst = tuple(
        case.model_copy(update={"weakest": case.worst, "misled_by": 0.0}) for case in record.worst
    )
    text = " ".join(Page(render_html(record.model_copy(update={"worst": worst}))).text.split())
    assert "gave a valid figure under the same conditions; there is none to compare." in text
    assert "Only one attack" not in text


def test_a_bottleneck_is_named_and_its_channels_are_those_that_cross() -> None:
    text = " ".join(Page(render_html(narrow_report())).text.split())
    assert "Cut level 2, skips 0 and 1 shared, bottleneck of 4 channels · seed 1" in text
    assert "from each site level 0 (4 channels), level 1 (4), level 2 (4)" in text
    assert "from each site level 0 (16 channels), level 1 (16), level 2 (32)" in text


def test_what_does_not_cross_stands_in_the_panel_of_its_cut_level() -> None:
    html = render_html(protected_report())
    (whole,) = re.findall(r'<figure id="tradeoff-\d+">.*?</figure>', html, re.DOTALL)
    assert "<h3>Cut level 2 · seed 1</h3>" in whole
    panel, narrow = re.findall(r"<svg.*?</svg>", whole, re.DOTALL)
    assert panel.count("<title>") == narrow.count("<title>") == 12
    named = re.findall(r'class="marker[^>]*><title>(.*?)</title>', panel)
    assert len(named) == len(set(named)) == 12
    assert {
        "No defense",
        "Bottleneck, 4 channels",
        "Skips withheld, levels 0 and 1",
        "Gaussian noise, std 1.0 + bottleneck, 4 channels",
        "Gaussian noise, std 1.0 + bottleneck, 4 channels + skips 0+1 withheld",
    } <= set(named)
    # One shape each for none, noise, dropout, bottleneck and skips; the ring stands once.
    drawn = re.findall(r'class="marker[^>]* d="([^"]*)"><title>', panel)
    assert len(set(drawn)) == 5
    assert drawn.count(drawn[named.index("No defense")]) == 1
    # Three of noise, two each of the bottleneck and of the skips.
    bands = re.findall(r'class="sweep" d="(.*?)"', panel)
    assert sorted(path.count("L") for path in bands) == [1, 1, 2]
    rows = [" ".join(Page(row).text.split()) for row in whole.split("<tr>")[2:]]
    (dominated,) = [row for row in rows if row.startswith("Gaussian noisestd 3.0")]
    assert dominated.endswith("no")
    (narrow,) = [row for row in rows if row.startswith("Bottleneck1 channel")]
    assert narrow.endswith("on it")


def test_the_undefended_network_alone_has_no_defense() -> None:
    html = render_html(protected_report())
    short = Page(html[html.index('<div class="settings">') : html.index('id="public"')]).text
    assert short.count("No defense") == 1
    heads = re.findall(r'<span class="setting-name"><bdi>(.*?)</bdi>', html)
    assert heads.count("No defense") == 1
    assert heads.count("No further defense") == 5
    networks = Page(html[html.index("Dice by class") :]).text
    assert "Gaussian noise + bottleneck, std 1.0; 4 channels" in networks


def test_a_defense_that_was_off_is_called_so_and_a_claim_of_weights_leaves_the_rest_open() -> None:
    record = sample_report()
    target = next(one for one in record.targets if one.guarantee and one.guarantee.claimed is False)
    assert target.guarantee is not None

    def page_of(**changed: object) -> str:
        targets = tuple(
            one.model_copy(update=changed) if one.target == target.target else one
            for one in record.targets
        )
        html = render_html(record.model_copy(update={"targets": targets}))
        start = html.index('id="guarantees"')
        return " ".join(Page(html[start : html.index("</section>", start)]).text.split())

    assert "It was off" not in page_of()
    assert "It was off. X changed no release" in page_of(idle="X changed no release")
    weights = target.guarantee.model_copy(update={"covers": "weights"})
    text = page_of(guarantee=weights)
    assert "It says nothing about the activations" in text
    assert "It says nothing about the activations" not in page_of()


def test_what_a_defense_was_seen_to_do_is_said_in_words() -> None:
    record = sample_report()
    effect = Effect(
        defense=a_plugin("TopK(keep=0.1)"),
        phase="inference",
        bounded_share=0.25,
        noise_std=2.0,
        change_to_signal=3.0,
        dropped_share=0.9,
        returned_change=0.5,
        penalty=0.125,
        records_clipped=1.0,
        update_noise_std=4.0,
    )
    quiet = Effect(defense=a_plugin("Nopeek(weight=1.0)"), phase="inference", noise_std=0.0)
    targets = tuple(one.model_copy(update={"effects": (effect, quiet)}) for one in record.targets)
    text = " ".join(Page(render_html(record.model_copy(update={"targets": targets}))).text.split())
    for words in (
        "clipped 25 % of the slices",
        "added noise of standard deviation 2",
        "3 times its own size",
        "set 90 % of the values to 0",
        "returned gradients by 0.5 times",
        "added 0.125 to the loss",
        "clipped 100 % of the patients' gradients",
        "added noise of 4 to each sum",
    ):
        assert words in text.replace("\N{NO-BREAK SPACE}", " "), words
    assert "NoPeek" not in text.split("What it was seen to do", 1)[1].split("As fitted", 1)[0]


def test_a_defense_of_returned_gradients_is_called_none_against_the_server() -> None:
    record = sample_report()
    effect = Effect(
        defense=a_plugin("CutGradientNoise(std=1.0)"), phase="training", returned_change=1.0
    )
    changes = {"effects": (effect,), "noise_to_signal": None}
    targets = tuple(
        one.model_copy(update=changes) if one.target == "target-1-1" else one
        for one in record.targets
    )
    told = "it is none against the party that receives that."
    assert told not in Page(render_html(record)).text
    changed = record.model_copy(update={"targets": targets})
    assert Page(render_html(changed)).text.count(told) == 1
