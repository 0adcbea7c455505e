"""report.html: one file that asks nobody for anything and runs nothing it did not bring."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from leakaudit.measure import metrics
from leakaudit.records import ReportRecord, written
from leakaudit.report.figures.epochs import epochs
from leakaudit.report.figures.heatmap import heat_tables
from leakaudit.report.figures.modalities import modalities
from leakaudit.report.figures.patients import patients
from leakaudit.report.figures.places import places
from leakaudit.report.figures.tensors import tensors
from leakaudit.report.figures.tradeoff import tradeoffs
from leakaudit.report.page.answers import answers
from leakaudit.report.page.citations import citations
from leakaudit.report.page.compliance import CROSSWALK
from leakaudit.report.page.footer import footer_rule
from leakaudit.report.page.templates import Templates
from leakaudit.report.pictures.gallery import Gallery
from leakaudit.report.pictures.gallery_view import gallery_view
from leakaudit.report.pictures.pixels import DIFFERENCE_WHITE
from leakaudit.report.text import formatting, words
from leakaudit.report.text.pointers import add_pointers, count, strip_marks, with_pointer
from leakaudit.report.text.unread_disguises import holes, shipped
from leakaudit.report.text.validity import doubt
from leakaudit.report.text.verdicts import (
    again_words,
    bound_words,
    counts_words,
    threshold_words,
    verdict_view,
)
from leakaudit.report.views.cards import cards
from leakaudit.report.views.choices import choice
from leakaudit.report.views.coverage import attacks_met, budgets, kinds
from leakaudit.report.views.exposed import identified, inferred, most_exposed, outdone, public_words
from leakaudit.report.views.options import option_groups
from leakaudit.report.views.rows import drawn_tensors, listed_cells
from leakaudit.report.views.settings import (
    cell_anchors,
    claims,
    matrices,
    networks,
    state_counts,
    training_victims,
)
from leakaudit.report.views.strips import strip
from leakaudit.report.views.told_apart import matched_settings, told_apart_sentence

TITLE = "Technical annex to the data protection impact assessment"


def render_html(
    record: ReportRecord, gallery: Gallery | None = None, templates: Path | None = None
) -> str:
    """The report as one self-contained HTML document; equal input gives equal bytes.

    Args:
        record: what to report.
        gallery: pictures, shown only if the record allows images.
        templates: a folder whose templates come before the program's.

    Raises:
        StoreError: the folder is missing.
        UsageError: a template in it cannot be filled in.
    """
    return page_of(record, gallery, Templates(templates))


def page_of(
    record: ReportRecord, gallery: Gallery | None, used: Templates, digest: str = ""
) -> str:
    """Render the page with loaded templates, as part of a report in files.

    Args:
        record: what to report.
        gallery: pictures, shown only if the record allows images.
        used: the templates.
        digest: SHA-256 of report.json, by which a printed page can be told to be of this report.

    Raises:
        UsageError: a template cannot be filled in.
    """
    style = used.asset("report.css") + footer_rule(record.name, digest)
    script = used.asset("report.js")
    record = add_pointers(record)
    tables, judged = matrices(record), verdict_view(record)
    advice = choice(record, judged)
    drawn = tradeoffs(tables, advice.targets)
    try:
        template = _environment(used).get_template("report.html.j2")
        return template.render(
            title=TITLE,
            policy=(
                "default-src 'none'; img-src data:; "
                f"style-src '{_source(style)}'; script-src '{_source(script)}'; "
                "base-uri 'none'; form-action 'none'"
            ),
            style=Markup(style),  # our own file, and a rule whose text is escaped
            digest=digest,
            script=Markup(script),  # our own file, not input
            record=record,
            any_masks=any(cell.recovers == "masks" for cell in record.cells),
            any_matching=any(cell.recovers == "identities" for cell in record.cells),
            headline=words.headline(record),
            judged_headline=_judged_headline(record),
            judged=judged,
            answers=answers(record, judged, drawn, advice),
            anchors=cell_anchors(record),
            states=state_counts(record),
            matrices=tables,
            cards=cards(tables, record.verdict),
            tradeoffs=drawn,
            heat=heat_tables(tables),
            places=places(tables),
            epochs=epochs(tables),
            modalities=modalities(tables),
            tensors=tensors(tables, drawn_tensors(record)),
            drawn_tensors=drawn_tensors(record),
            patients=patients(tables),
            claims=claims(record),
            networks=networks(record),
            kinds=kinds(record),
            met=attacks_met(record),
            budgets=budgets(record),
            holes=holes(record, shipped()),
            most_exposed=most_exposed(record),
            outdone=outdone(record),
            identified=identified(record),
            matched_settings=matched_settings(record),
            told_apart=told_apart_sentence(record),
            inferred=inferred(record),
            option_groups=option_groups(record),
            public_words=public_words(record),
            crosswalk=CROSSWALK,
            citations=citations(record),
            training_victims=training_victims(record),
            one_by_one=listed_cells(record),
            gallery=gallery_view(record, gallery),
            gallery_difference_white=DIFFERENCE_WHITE,
            replaced=used.replaced,
            measured=measured_between(record),
            resolved=json.dumps(
                record.audit, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False
            ),
        )
    except Exception as error:
        refusal = used.refusal(error)
        if refusal is None:
            raise
        raise refusal from error


def _judged_headline(record: ReportRecord) -> str:
    """The headline of what the policy judges; empty where that is all, or nothing."""
    judged = {one.target for one in record.verdict.settings} if record.verdict else set()
    every = {cell.target for cell in record.cells if not cell.control_only}
    return words.headline(record, judged) if judged and every - judged else ""


def measured_between(record: ReportRecord) -> tuple[float, float] | None:
    """When the first and the last job started, in seconds since 1970; None where not kept."""
    kept = [one.volatile for one in record.targets] + [one.volatile for one in record.cells]
    starts = [at for one in kept if isinstance(at := one.get("started"), float)]
    return (min(starts), max(starts)) if starts else None


def _environment(templates: Templates) -> Environment:
    """With the filters that the templates use; the program's own are compiled once."""
    return _filled(templates) if templates.replaced else _own_environment()


@cache
def _own_environment() -> Environment:
    return _filled(Templates())


def _filled(templates: Templates) -> Environment:
    environment = templates.environment()
    environment.filters.update(
        figure=formatting.figure,
        scientific=formatting.scientific,
        bounds=formatting.bounds,
        estimate=formatting.estimate,
        percent=formatting.percent,
        singled_out=formatting.singled_out,
        matched=formatting.matched,
        duration=formatting.duration,
        moment=formatting.moment,
        spoken=formatting.spoken,
        plain=strip_marks,
        count=count,
        told=with_pointer,
        doubt=doubt,
        labelled=formatting.labelled,
        written=written,
        listed=formatting.listed,
        epochs_words=formatting.epochs_words,
        victims_words=words.victims_words,
        kind_words=words.kind_words,
        threshold_words=threshold_words,
        again_words=again_words,
        bound_words=bound_words,
        counts_words=counts_words,
    )
    environment.globals.update(
        levels=formatting.levels,
        metrics=lambda: metrics.METRICS,
        strip=strip,
        listed_metrics=lambda: [one for one in metrics.METRICS if one.listed],
    )
    return environment


def _source(text: str) -> str:
    """The CSP source expression that allows exactly this text."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
