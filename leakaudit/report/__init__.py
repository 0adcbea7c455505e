"""Turns records into the files of a report. No torch.

In: a `ReportRecord` and pictures.  Out: report.json, cells.csv, report.html and a manifest.
``report.json`` is the product; ``report.html`` is a view that can be drawn again from it.
"""

from __future__ import annotations

from leakaudit.report.files.csv_table import cells_csv
from leakaudit.report.files.markdown import cells_table, worst_table
from leakaudit.report.files.writing import read_gallery, read_manifest, read_report, write_report
from leakaudit.report.page.page import render_html
from leakaudit.report.page.templates import check_templates
from leakaudit.report.pictures.gallery import Gallery, GalleryItem, draw_gallery
from leakaudit.report.share.sharing import shared
from leakaudit.report.text.verdicts import verdict_view

__all__ = [
    "Gallery",
    "GalleryItem",
    "cells_csv",
    "cells_table",
    "check_templates",
    "draw_gallery",
    "read_gallery",
    "read_manifest",
    "read_report",
    "render_html",
    "shared",
    "verdict_view",
    "worst_table",
    "write_report",
]
