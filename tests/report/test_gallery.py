"""What the gallery shows, of whom, how blurred, how much at most, and what is kept of it."""

from __future__ import annotations

import html as markup
import io
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from leakaudit.errors import StoreError, UsageError
from leakaudit.records import CellRecord, ReportRecord, State
from leakaudit.records.manifest import FileEntry
from leakaudit.report import (
    Gallery,
    GalleryItem,
    draw_gallery,
    read_gallery,
    read_manifest,
    read_report,
    render_html,
    write_report,
)
from leakaudit.report.pictures.gallery import Quad
from leakaudit.report.pictures.pixels import MOST_SAMPLES, blur_for
from leakaudit.report.pictures.selection import places
from tests.report.sample import (
    VICTIMS,
    leakage,
    mask_cell,
    sample_gallery,
    sample_items,
    sample_report,
)

pytestmark = pytest.mark.slow  # whole pages, many times

FIRST = "cell-1-0-activation-inversion"


def pixels(data: bytes) -> npt.NDArray[np.float64]:
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    assert image.mode == "L"  # 8 bits, gray
    assert not image.info
    return np.asarray(image) / 255


def quads(gallery: Gallery) -> list[Quad]:
    return [quad for one in gallery.index.sets for shown in one.shown for quad in shown.quads]


def scored(scores: Sequence[float]) -> CellRecord:
    """The first cell with patients of these scores, in this order."""
    cell = sample_report().cells[0]
    found = leakage(0.5)
    patients = tuple(
        found.patients[0].model_copy(update={"patient": f"p{number}", "ssim_brain": value})
        for number, value in enumerate(scores)
    )
    return cell.model_copy(update={"leakage": found.model_copy(update={"patients": patients})})


def of_real_patients(record: ReportRecord) -> ReportRecord:
    data = record.data.model_copy(update={"simulated": False, "name": "hospital"})
    return record.model_copy(update={"data": data})


def text_of(html: str) -> str:
    start = html.index('<section id="gallery"')
    section = html[start : html.index("</section>", start)]
    numbers = re.sub(r"<span data-json[^>]*>([^<]*)</span>", r"\1", section)
    return " ".join(markup.unescape(re.sub(r"<[^>]+>", " ", numbers)).split())


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((0.4, 0.9, 0.1, 0.6, 0.5), [("worst", "p1"), ("median", "p4"), ("best", "p2")]),
        ((0.4, 0.9, 0.1, 0.6), [("worst", "p1"), ("median", "p3"), ("best", "p2")]),
        ((0.4, 0.9), [("worst", "p1"), ("best", "p0")]),
        ((0.4,), [("only", "p0")]),
        ((0.5, 0.5, 0.5), [("worst", "p0"), ("median", "p1"), ("best", "p2")]),
        ((-0.2, 0.0, -0.1), [("worst", "p1"), ("median", "p2"), ("best", "p0")]),
    ],
)
def test_the_worst_is_who_was_recovered_most(
    scores: tuple[float, ...], expected: list[tuple[str, str]]
) -> None:
    assert list(places(scored(scores))) == expected


def test_masks_are_ranked_by_dice() -> None:
    assert places(mask_cell()) == (("worst", VICTIMS[1]), ("best", VICTIMS[0]))


def test_only_cells_with_a_valid_figure_are_asked_for_and_shown() -> None:
    record = sample_report(images="full")
    asked: set[str] = set()

    def source(cell: CellRecord, patient: str) -> list[GalleryItem]:
        asked.add(cell.cell)
        return sample_items(cell, patient)

    gallery = draw_gallery(record, source)
    ok = {cell.cell for cell in record.cells if cell.state is State.OK and not cell.control_only}
    assert any(cell.control_only and cell.state is State.OK for cell in record.cells)
    assert asked == {one.cell for one in gallery.index.sets} == ok
    html = render_html(record, gallery)
    text = text_of(html)
    assert "9 attacks have no valid figure, and so no picture." in text
    assert "run as positive controls alone are not drawn" in text
    # An index that names a cell whose control failed later does not bring its pictures back.
    cells = tuple(
        cell.model_copy(update={"state": State.CONTROL_FAILED, "reason": "x"})
        if cell.cell == FIRST
        else cell
        for cell in record.cells
    )
    fewer = render_html(record.model_copy(update={"cells": cells}), gallery)
    assert fewer.count("<img") == html.count("<img") - 3 * 4 * 4


def test_every_patient_stands_with_the_figures_of_the_record() -> None:
    record = sample_report(images="full")
    text = text_of(render_html(record, sample_gallery()))
    found = record.cells[0].leakage
    assert found is not None
    ranked = sorted(found.patients, key=lambda one: -one.ssim_brain)
    for place, one in (
        ("Recovered most (worst case)", ranked[0]),
        ("In the middle (median)", ranked[2]),
        ("Recovered least (best case)", ranked[4]),
    ):
        assert (
            f"{place} patient {one.patient} SSIM inside the brain "
            f"{one.ssim_brain:.2f} blind guess {one.blind_floor:.2f}"
        ) in text
    assert "for 5 of 5 patients" in text
    assert "0.94, and the guess 0.31" in text
    assert "marks the tumour with a Dice of 0.67" in text
    assert "0.71 on the originals and 0.04 on the guess" in text


def test_the_sentence_claims_no_more_than_was_measured() -> None:
    record = sample_report(images="full")
    found = record.cells[0].leakage
    assert found is not None
    weak = found.model_copy(
        update={
            "harm": None,
            "patients": tuple(
                one.model_copy(update={"ssim_brain": 0.2, "tumour_dice": None})
                for one in found.patients
            ),
        }
    )
    cells = (record.cells[0].model_copy(update={"leakage": weak}), *record.cells[1:])
    record = record.model_copy(update={"cells": cells})
    text = text_of(render_html(record, sample_gallery(record=record)))
    assert "no closer to the original than somebody who saw nothing, for any patient" in text
    assert "Whether the tumour can be found in it was not measured." in text
    assert "marks the tumour" not in text
    advantage = found.advantage.model_copy(update={"low": -0.1})
    unsure = found.model_copy(update={"advantage": advantage})
    cells = (record.cells[0].model_copy(update={"leakage": unsure}), *record.cells[1:])
    text = text_of(render_html(record.model_copy(update={"cells": cells}), sample_gallery()))
    assert "On average over the patients the attack is not shown to exceed the guess." in text


def test_a_guess_that_is_not_at_hand_is_not_drawn_and_said_so() -> None:
    record = sample_report(images="full", cells=(*sample_report().cells, mask_cell()))
    gallery = sample_gallery(("cell-masks",), record)
    html = render_html(record, gallery)
    assert html.count("<img") == 2 * 3
    text = text_of(html)
    assert (
        "The blind guess is not drawn: it is what the same attack makes of the site's own" in text
    )
    assert "more than the guess of somebody who has the site's own images alone for 2 of 2" in text
    assert "In the middle" not in text


def test_the_difference_has_one_scale() -> None:
    rng = np.random.default_rng(0)
    original, reconstruction = rng.random((2, 48, 48))
    items = [GalleryItem("T1w", original, reconstruction, original)]
    record = sample_report(images="full")
    gallery = draw_gallery(record, lambda cell, patient: items if cell.cell == FIRST else [])
    one = quads(gallery)[0]
    assert np.abs(pixels(gallery.pictures[one.original]) - original).max() < 1 / 255
    assert np.abs(pixels(gallery.pictures[one.reconstruction]) - reconstruction).max() < 1 / 255
    expected = np.clip(2 * np.abs(original - reconstruction), 0, 1)
    assert np.abs(pixels(gallery.pictures[one.difference]) - expected).max() < 1 / 255
    assert one.guess == one.original  # equal pictures are kept once
    assert "black 0, white 0.5 or more" in text_of(render_html(record, gallery))


@pytest.mark.parametrize("side", [32, 48, 96, 240])
def test_a_blur_leaves_no_detail_and_few_samples(side: int) -> None:
    blur = blur_for((side, side))
    where = np.arange(side)
    checkers = (where[:, None] + where[None]) % 2.0
    inner = slice(2, -2)
    assert np.abs(blur(checkers) - 0.5)[inner, inner].max() < 0.01
    # What the samples can hold at most keeps 6 % of its amplitude.
    waves = np.broadcast_to(np.cos(np.pi * where / blur.step), (side, side))
    assert np.ptp(blur(waves)[inner, inner]) < 2 * 0.07
    assert max(blur(checkers).shape) <= MOST_SAMPLES
    flat = np.full((side, side), 0.3)
    assert np.allclose(blur(flat), 0.3)


def test_all_pictures_of_a_blurred_gallery_are_blurred() -> None:
    full, blurred = (
        sample_gallery(record=sample_report(images=level)) for level in ("full", "blurred")
    )
    assert not set(full.pictures) & set(blurred.pictures)
    assert {pixels(data).shape for data in full.pictures.values()} == {(48, 48)}
    assert {pixels(data).shape for data in blurred.pictures.values()} == {(8, 8)}
    one = quads(blurred)[0]
    original, reconstruction = (
        pixels(blurred.pictures[name]) for name in (one.original, one.reconstruction)
    )
    shown = pixels(blurred.pictures[one.difference])
    assert np.abs(shown - 2 * np.abs(original - reconstruction)).max() < 5 / 255
    record = of_real_patients(sample_report(images="blurred"))
    html = render_html(record, sample_gallery(record=record))
    text = text_of(html)
    assert "standard deviation is 4.50 voxels; then one voxel in 6 was kept" in text
    assert "A blurred image may still be personal data" in text
    assert '<body class="personal-data blurred">' in html
    assert "This report contains personal data:</strong> blurred images of patients" in html


def test_pictures_of_another_level_are_refused_and_none_are_shown_by_default() -> None:
    gallery = sample_gallery()
    assert "<img" not in render_html(sample_report(), gallery)
    with pytest.raises(UsageError, match="'blurred'"):
        render_html(sample_report(images="blurred"), gallery)
    with pytest.raises(UsageError, match="'none'"):
        sample_gallery(record=sample_report())


def test_pictures_of_patients_bring_a_banner() -> None:
    html = render_html(sample_report(images="full"), sample_gallery())
    assert '<body class="simulated-images">' in html
    assert "Simulated images." in html
    real = of_real_patients(sample_report(images="full"))
    html = render_html(real, sample_gallery())
    assert '<body class="personal-data">' in html
    assert "This report contains personal data:" in html
    assert "simulated" not in text_of(html).lower()
    without = render_html(real)
    assert "<body>" in without
    assert 'class="banner"' not in without
    assert "pictures of this run are not at hand" in text_of(without)


@pytest.mark.parametrize(
    "item",
    [
        GalleryItem("T1w", np.zeros((4, 4)), np.zeros((4, 5))),
        GalleryItem("T1w", np.zeros((4, 4)), np.full((4, 4), np.nan)),
        GalleryItem("T1w", np.zeros((4, 4)), np.zeros((4, 4)), np.full((4, 4), np.inf)),
        GalleryItem("T1w", np.zeros((2, 4, 4)), np.zeros((2, 4, 4))),
    ],
)
def test_bad_planes_are_refused(item: GalleryItem) -> None:
    with pytest.raises(UsageError, match="finite 2D planes of one shape"):
        draw_gallery(sample_report(images="full"), lambda cell, patient: [item])


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "{{7*7}}", 'a" onload="x', "\u202ex"]
)
def test_hostile_names_are_inert(name: str) -> None:
    record = sample_report(images="full")
    found = record.cells[0].leakage
    assert found is not None
    patients = tuple(one.model_copy(update={"patient": name}) for one in found.patients[:1])
    changed = found.model_copy(update={"patients": patients, "blind_floor_name": name})
    cells = (
        record.cells[0].model_copy(update={"leakage": changed, "attack_name": name}),
        *record.cells[1:],
    )
    record = record.model_copy(update={"cells": cells})
    plane = np.zeros((48, 48))
    gallery = draw_gallery(
        record,
        lambda cell, patient: [GalleryItem(name, plane, plane, plane)] if patient == name else [],
    )
    html = render_html(record, gallery)
    section = html[html.index('<section id="gallery"') :]
    assert section.count("<img") == 4
    assert html.count("<script") == 1
    assert "\u202e" not in html
    assert "49" not in re.sub(r'src="[^"]*"', "", section[: section.index("</section>")])
    assert ' onload="' not in html


@pytest.mark.parametrize(
    ("most", "rule", "words"),
    [
        (15 * 48, "all", "How alike"),
        (15 * 48 - 1, "strongest", "Only the strongest attack of each setting is shown; 6 others"),
        (9 * 48 - 1, "worst patients", "of it only the patient who was recovered most; 6 other"),
        (9 * 16 - 1, "most recovered", "for the 8 attacks that gain most over the blind guess"),
    ],
)
def test_what_is_left_out_to_stay_small_is_said(most: int, rule: str, words: str) -> None:
    record = sample_report(images="full")
    gallery = draw_gallery(record, sample_items, most_pictures=most)
    index = gallery.index
    html = render_html(record, gallery)
    text = text_of(html)
    assert index.rule == rule
    assert html.count("<img") == sum(len(quad.names) for quad in quads(gallery)) <= most
    assert words in text
    assert len(index.sets) + len(index.left_out) == 15
    cases = {case.worst for case in record.worst}
    if rule == "all":
        assert "too large" not in text
        return
    assert {one.cell for one in index.sets} <= cases
    assert "Attacks that are left out here" in text
    assert "Decoder inversion · No defense · Cut level 1" in text
    if rule == "most recovered":
        (left,) = set(index.left_out) & cases
        gains = {one.worst: one.advantage.mean for one in record.worst if one.advantage}
        assert gains[left] == min(gains.values())


def test_bytes_are_limited_as_they_stand_in_the_page() -> None:
    record = sample_report(images="full")
    limit = 200_000
    gallery = draw_gallery(record, sample_items, most_bytes=limit)
    html = render_html(record, gallery)
    sizes = [len(found) for found in re.findall(r'<img src="data:image/png;base64,([^"]*)"', html)]
    assert 0 < sum(sizes) <= limit
    assert gallery.index.rule != "all"


def test_five_hundred_cells_with_pictures_stay_under_25_megabytes() -> None:
    record = sample_report(images="full")
    copies = {
        one.target: [
            one.model_copy(update={"target": f"{one.target}-{copy}"}) for copy in range(20)
        ]
        for one in record.targets
    }
    cells = [
        cell.model_copy(update={"cell": f"{cell.cell}-{copy}", "target": f"{cell.target}-{copy}"})
        for copy in range(20)
        for cell in record.cells
    ]
    targets = [one for every in copies.values() for one in every]
    many = sample_report(images="full", cells=tuple(cells), targets=tuple(targets))
    assert len(many.cells) >= 500
    noise = np.random.default_rng(0).random((96, 96))  # what no PNG makes smaller
    items = [GalleryItem(name, noise, 1 - noise, noise) for name in many.data.modalities]
    gallery = draw_gallery(many, lambda cell, patient: items)
    assert gallery.index.rule == "most recovered"
    assert gallery.index.sets
    size = len(render_html(many, gallery).encode())
    assert 15_000_000 < size < 25_000_000


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("level", ["full", "blurred"])
def test_a_report_with_pictures_is_rendered_again_byte_by_byte(tmp_path: Path, level: str) -> None:
    record = sample_report(images=level, cells=(*sample_report().cells, mask_cell()))
    gallery = sample_gallery((FIRST, "cell-masks"), record)
    write_report(record, tmp_path, gallery)
    before = contents(tmp_path)
    assert {"gallery.json", *(f"images/{name}.png" for name in gallery.pictures)} <= set(before)
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    pictures = {f"images/{name}": entry for name, entry in manifest.pictures.items()}
    assert {**manifest.files, **pictures} == {
        name: FileEntry.of(data) for name, data in before.items() if name != "manifest.json"
    }
    for path in tmp_path.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)
    kept = read_gallery(tmp_path)
    assert kept == gallery
    (tmp_path / "report.html").unlink()
    write_report(read_report(tmp_path), tmp_path, kept)
    assert contents(tmp_path) == before


def test_pictures_of_an_earlier_report_do_not_stay(tmp_path: Path) -> None:
    full, blurred = (sample_report(images=level) for level in ("full", "blurred"))
    write_report(full, tmp_path, sample_gallery(record=full))
    (tmp_path / "images" / "notes.txt").write_text("of the user")
    gallery = sample_gallery(record=blurred)
    write_report(blurred, tmp_path, gallery)
    left = {path.name for path in (tmp_path / "images").iterdir()}
    assert left == {"notes.txt", *(f"{name}.png" for name in gallery.pictures)}
    write_report(sample_report(), tmp_path)
    assert {path.name for path in (tmp_path / "images").iterdir()} == {"notes.txt"}
    assert not (tmp_path / "gallery.json").exists()
    assert read_gallery(tmp_path) is None
    (tmp_path / "images" / "notes.txt").unlink()
    write_report(sample_report(), tmp_path, gallery)
    assert not (tmp_path / "images").exists()  # the record allows none


def test_pictures_are_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "images").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="got a link"):
        write_report(sample_report(images="full"), tmp_path / "report", sample_gallery())
    assert not list((tmp_path / "elsewhere").iterdir())


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)


def test_a_changed_missing_or_strange_picture_is_refused(tmp_path: Path) -> None:
    write_report(sample_report(images="full"), tmp_path / "whole", sample_gallery())

    def copy() -> Path:
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        shutil.copytree(tmp_path / "whole", tmp_path / "copy")
        return tmp_path / "copy"

    def refused(folder: Path, words: str) -> None:
        with pytest.raises(StoreError, match=words):
            read_gallery(folder)

    folder = copy()
    _flip(next((folder / "images").iterdir()))
    refused(folder, "differs from what its name says")
    folder = copy()
    next((folder / "images").iterdir()).unlink()
    refused(folder, r"cannot be read .*leakaudit verify \S+copy` says.*run the audit again")
    folder = copy()
    _flip(folder / "gallery.json")
    refused(folder, "differs from what manifest.json says")
    folder = copy()
    (folder / "gallery.json").unlink()
    refused(folder, r"gallery\.json: cannot be read")
    folder = copy()
    index: dict[str, Any] = json.loads((folder / "gallery.json").read_text())
    index["sets"][0]["shown"][0]["quads"][0]["original"] = "../../secret"
    data = json.dumps(index).encode()
    (folder / "gallery.json").write_bytes(data)
    manifest = read_manifest(folder)
    assert manifest is not None
    files = {**manifest.files, "gallery.json": FileEntry.of(data)}
    sealed = manifest.model_copy(update={"files": files}).to_bytes()
    (folder / "manifest.json").write_bytes(sealed)
    refused(folder, "expected an index of pictures")


def test_nothing_to_draw_is_said() -> None:
    record = sample_report(images="full")
    bad = tuple(
        cell.model_copy(update={"state": State.FAILED, "reason": "x"}) for cell in record.cells
    )
    record = sample_report(images="full", cells=bad)
    html = render_html(record, draw_gallery(record, sample_items))
    assert "No picture is drawn: no attack has a valid figure." in text_of(html)
    assert 'class="banner"' not in html
    record = sample_report(images="full")
    html = render_html(record, draw_gallery(record, sample_items, most_bytes=1_000))
    assert "those of one patient alone would make this report too large" in text_of(html)
    html = render_html(record, draw_gallery(record, lambda cell, patient: []))
    assert "No picture is drawn: the reconstructions are not at hand." in text_of(html)
