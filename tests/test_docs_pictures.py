"""Pictures of the documentation: all that are shown are there, and none that is shown nowhere."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def test_what_is_shown_is_there_and_what_is_there_is_shown() -> None:
    shown = {
        (page.parent / name).resolve()
        for page in (ROOT / "README.md", *DOCS.rglob("*.md"))
        for name in re.findall(r"!\[[^\]]*\]\(([^)]+\.png)\)", page.read_text())
    }
    assert shown == {path.resolve() for path in DOCS.rglob("*.png")}


def test_the_picture_of_the_report_is_as_wide_as_a_screen() -> None:
    with Image.open(DOCS / "report.png") as picture:
        assert picture.width == 1360
