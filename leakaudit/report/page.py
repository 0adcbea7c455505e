"""report.html: one file that asks nobody for anything and runs nothing it did not bring."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from leakaudit.records import ReportRecord
from leakaudit.report import formatting, words
from leakaudit.report.citations import citations
from leakaudit.report.gallery import Gallery
from leakaudit.report.gallery_view import gallery_view
from leakaudit.report.pixels import DIFFERENCE_WHITE
from leakaudit.report.pointers import count, plain, pointed, told
from leakaudit.report.tradeoff import tradeoffs
from leakaudit.report.verdicts import (
    bound_words,
    counts_words,
    threshold_words,
    verdict_view,
)
from leakaudit.report.views import (
    cell_anchors,
    claims,
    matrices,
    networks,
    state_counts,
    training_victims,
)

TEMPLATES = "leakaudit_templates"
TITLE = "Technical annex to the data protection impact assessment"


def render_html(record: ReportRecord, gallery: Gallery | None = None) -> str:
    """The report as one self-contained HTML document; equal input gives equal bytes.

    Args:
        record: what to report.
        gallery: pictures, shown only if the record allows images.
    """
    style, script = _asset("report.css"), _asset("report.js")
    record = pointed(record)
    tables = matrices(record)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=TITLE,
            policy=(
                "default-src 'none'; img-src data:; "
                f"style-src '{_source(style)}'; script-src '{_source(script)}'; "
                "base-uri 'none'; form-action 'none'"
            ),
            style=Markup(style),  # our own file, not input
            script=Markup(script),  # our own file, not input
            record=record,
            any_masks=any(cell.recovers == "masks" for cell in record.cells),
            headline=words.headline(record),
            judged=verdict_view(record),
            anchors=cell_anchors(record),
            states=state_counts(record),
            matrices=tables,
            tradeoffs=tradeoffs(tables),
            claims=claims(record),
            networks=networks(record),
            citations=citations(record),
            training_victims=training_victims(record),
            gallery=gallery_view(record, gallery),
            gallery_difference_white=DIFFERENCE_WHITE,
            resolved=json.dumps(
                record.audit, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False
            ),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(TEMPLATES, ""),
        autoescape=True,  # select_autoescape() would leave .html.j2 out
        undefined=StrictUndefined,
        finalize=formatting.visible,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        figure=formatting.figure,
        scientific=formatting.scientific,
        bounds=formatting.bounds,
        estimate=formatting.estimate,
        percent=formatting.percent,
        singled_out=formatting.singled_out,
        duration=formatting.duration,
        spoken=formatting.spoken,
        plain=plain,
        count=count,
        told=told,
        labelled=formatting.labelled,
        listed=formatting.listed,
        epochs_words=formatting.epochs_words,
        victims_words=words.victims_words,
        kind_words=words.kind_words,
        threshold_words=threshold_words,
        bound_words=bound_words,
        counts_words=counts_words,
    )
    environment.globals.update(levels=formatting.levels)
    return environment


def _asset(name: str) -> str:
    """A style sheet or script as it will stand in the page, line ends as the parser sees them."""
    text = resources.files(TEMPLATES).joinpath(name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _source(text: str) -> str:
    """The CSP source expression that allows exactly this text."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
