"""Draws the pictures of docs/reading-the-report.md from a finished run; simulated patients only.

leakaudit run examples/phantom_report.yaml
python docs/make_pictures.py runs/phantom-report

And docs/report.png, the first screen of the default audit's report:

leakaudit run
python docs/make_pictures.py runs/quick --first-screen
"""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

CHROMIUM = os.environ.get("LEAKAUDIT_CHROMIUM", "/usr/bin/chromium")
USUAL = ViewportSize(width=1100, height=900)
PICTURES = {
    "verdict": "#verdict .verdict",
    "data-flow": "#scope .flow",
    "policy": "#policy .outcomes",
    "tradeoff": "#tradeoff figure svg",
    "heat-map": "#exposure table.heat",
    "crossing": "#exposure figure[id^=places] svg",
    "epochs": "#exposure figure[id^=epochs] svg",
    "modalities": "#exposure figure[id^=modalities]",
    "tensors": "#exposure figure[id^=tensors]",
    "patients": "#worst figure",
    "gallery": "#gallery article",
}


def main(run: Path, *, first_screen: bool = False) -> None:
    """Write docs/pictures/NAME.png for every figure of the run's report, or docs/report.png."""
    record = json.loads((run / "report" / "report.json").read_text())
    if not record["data"]["simulated"]:
        sys.exit(f"{run}: patients are real; only pictures of simulated ones are kept")
    docs = Path(__file__).resolve().parent
    folder = docs / "pictures"
    folder.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        size = ViewportSize(width=1360, height=1300) if first_screen else USUAL
        page = browser.new_page(color_scheme="light", viewport=size)
        page.goto((run / "report" / "report.html").resolve().as_uri())
        if first_screen:
            save(page.screenshot(), docs / "report.png")
        else:
            save_figures(page, folder)
        browser.close()


def save_figures(page: Page, folder: Path) -> None:
    """A picture for each figure that this report has."""
    for name, place in PICTURES.items():
        found = page.locator(place).first
        if found.count():
            save(found.screenshot(), folder / f"{name}.png")
        else:
            print(f"{name}: not in this report")


def save(data: bytes, path: Path) -> None:
    """A small palette picture; a report has few colours, and phantoms are grey."""
    with Image.open(io.BytesIO(data)) as image:
        image.convert("RGB").quantize(128).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), first_screen="--first-screen" in sys.argv[2:])
