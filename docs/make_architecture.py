"""Draws the parts of docs/architecture.md that follow from the code.

python docs/make_architecture.py

It rewrites all that stands between the two marks of the page: the way of one image, the imports
between the rooms, and the table of rooms from the docstrings of the sub-packages.
"""

from __future__ import annotations

import ast
import re
import string
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- made by docs/make_architecture.py -->\n", "<!-- end -->\n"

# The way of one image: lane, room, module, name in it, and what it hands on. In the lane "both" the
# image and its truth go together; in "granted" goes only what a threat grants.
WAY = (
    ("both", "data", "layouts.finding", "find_patients", "all patients of a folder"),
    ("both", "data", "layouts.sources", "Source", "the files of one patient"),
    ("both", "data", "nifti_files.file", "read_volume", "voxels, and where they lie"),
    (
        "both",
        "data",
        "preparing.patient",
        "prepare_patient",
        "one upright, cropped, rescaled patient",
    ),
    ("both", "data", "nifti", "load_folder", "all patients: a Cohort"),
    ("both", "data", "splits", "split_patients", "who plays which part: Splits"),
    ("both", "audit.storage", "patient_file", "share", "one mapped file for all jobs"),
    ("granted", "audit.jobs", "train_network", "train_target", "a training job"),
    ("granted", "target", "training", "train", "a trained network"),
    ("granted", "audit.jobs", "attack_network", "run_cell", "an attack job"),
    ("granted", "threat", "observing", "observe", "what the threat grants: an Observation"),
    ("granted", "threat", "releasing", "ReleasePath", "the releases, as the sites send them"),
    ("granted", "contracts", "defense", "Defense", "each of them changed, by a plug-in"),
    ("granted", "audit.jobs", "attack_process", "AttackProcess", "the attack's own process"),
    ("granted", "isolation", "wire", "Wire", "checked bytes, to and from it"),
    ("granted", "contracts", "attack", "Attack", "a Reconstruction, by a plug-in"),
    ("both", "audit.scoring", "images", "ImageScorer", "reconstruction beside truth"),
    ("both", "measure", "fidelity", "ssim_brain", "SSIM inside the brain"),
    ("figures", "records", "cells", "CellRecord", "the figures of one attack"),
    ("figures", "audit.storage", "run_folder", "RunStore", "cells/KEY/cell.json"),
    ("figures", "policy", "judging", "judge", "the verdict of the policy"),
    ("figures", "audit.results", "assemble", "assemble", "all cells: a ReportRecord"),
    ("figures", "audit", "runner", "run_audit", "the record, to the command `run`"),
    ("figures", "report.files", "writing", "write_report", "report.json"),
    ("figures", "report.page", "page", "render_html", "report.html"),
)
_LANES = {"both": ("│ │", "├─┤"), "granted": ("│ │", "│ ├"), "figures": ("  │", "  ├")}


def main() -> None:
    """Rewrite the drawn part of the page."""
    page = PAGE.read_text()
    head, rest = page.split(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}{drawn()}{END}{rest.split(END)[1]}")


def drawn() -> str:
    """Return the drawn part of the page, as Markdown."""
    imports = room_imports()
    parts = ["\n## The way of one image\n", fenced("text", way())]
    parts += ["## Imports between the rooms of the core\n", fenced("text", matrix(imports))]
    for package in sorted({room.partition(".")[0] for room in imports if "." in room}):
        parts += [f"## Inside {package}/\n", fenced("mermaid", arrows(package, imports))]
    parts += ["## Rooms\n", table(), ""]
    return "\n".join(parts)


def fenced(language: str, text: str) -> str:
    """Return a fenced block of Markdown."""
    return f"```{language}\n{text}\n```\n"


def way() -> str:
    """Return the drawing of the way: the left lane is the truth, the right one what is granted."""
    lines = ["a folder of images and masks"]
    before = ("", "")
    for lane, room, module, name, value in WAY:
        line, knot = _LANES[lane]
        if before[0] == "granted" and lane == "both":
            lines += ["│ │        here truth and reconstruction meet, in the auditor's process"]
        if before[0] == "both" and lane == "granted":
            lines += ["│ ╰─ right: what others see.  left: the truth, past every attack"]
        if before[0] == "both" and lane == "figures":
            lines += ["╰─┤        from here on figures alone"]
        if before != (lane, room):
            lines += [line, f"{line}  {room.replace('.', '/')}/"]
        before = (lane, room)
        lines.append(
            f"{knot}─── {f'{module}.{name}'.replace('.', '/', module.count('.')):<36} {value}"
        )
    return "\n".join(lines)


def layers() -> list[str]:
    """Return the rooms of the core from high to low, as import-linter holds them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    found = next(each["layers"] for each in contracts if each["type"] == "layers")
    return [room.strip() for layer in found for room in layer.split("|")]


def room_imports() -> dict[str, set[str]]:
    """Return for each room the rooms it imports, without ``leakaudit.`` before the names.

    A room is a package or module directly in ``leakaudit``, such as ``data``, or directly in such
    a package if that has sub-packages, such as ``data.layouts`` or ``data.cohort``.  Imports for
    type checkers alone do not count.
    """
    graph = grimp.build_graph("leakaudit", exclude_type_checking_imports=True)
    split = {p.parent.parent.name for p in (ROOT / "leakaudit").glob("*/*/__init__.py")}

    def rooms(module: str) -> Iterator[str]:
        parts = module.split(".")[1:]
        if parts:
            yield parts[0]
        if len(parts) > 1 and parts[0] in split:
            yield ".".join(parts[:2])

    found: dict[str, set[str]] = {}
    for module in graph.modules:
        for room in rooms(module):
            beside = found.setdefault(room, set())
            for imported in graph.find_modules_directly_imported_by(module):
                beside |= {
                    other
                    for other in rooms(imported)
                    if other != room and parent(other) == parent(room)
                }
    return found


def parent(room: str) -> str:
    """Return the package that a room stands in; empty for a room of the core itself."""
    return room.rpartition(".")[0]


def matrix(imports: dict[str, set[str]]) -> str:
    """Return a matrix of the core's rooms: an x where the row imports the column."""
    order = layers()
    letters = dict(zip(order, string.ascii_lowercase + string.ascii_uppercase, strict=False))
    lines = [" " * 17 + " ".join(letters[room] for room in order)]
    for room in order:
        marks = ("·" if o == room else "x" if o in imports[room] else " " for o in order)
        lines.append(f"{letters[room]} {room:<14} {' '.join(marks)}".rstrip())
    return "\n".join(lines)


def arrows(package: str, imports: dict[str, set[str]]) -> str:
    """Return a drawing for Mermaid: an arrow from each room of a package to each it imports."""
    inside = {room: sorted(to) for room, to in imports.items() if parent(room) == package}
    lines = ["flowchart TD"]
    for room in sorted(inside, key=lambda room: (-len(inside[room]), room)):
        targets = " & ".join(each.partition(".")[2] for each in inside[room])
        name = room.partition(".")[2]
        lines.append(f"  {name} --> {targets}" if targets else f"  {name}")
    return "\n".join(lines)


def table() -> str:
    """Return the table of rooms: what comes in and what goes out."""
    lines = ["| room | in | out |", "|---|---|---|"]
    for file in sorted((ROOT / "leakaudit").rglob("__init__.py")):
        enters, leaves = in_and_out(file)
        name = file.parent.relative_to(ROOT).as_posix()
        lines.append(f"| `{name}/` | {enters} | {leaves} |")
    return "\n".join([*lines, "", "Single modules of the core:", "", *singles()])


def singles() -> Iterable[str]:
    """Return a line for each module that stands alone in the core."""
    for file in sorted((ROOT / "leakaudit").glob("*.py")):
        if file.stem != "__init__":
            first = (ast.get_docstring(ast.parse(file.read_text())) or "").split("\n\n")[0]
            yield f"- `{file.stem}`: {' '.join(first.split())}"


def in_and_out(file: Path) -> tuple[str, str]:
    """Return what a sub-package's docstring says after "In:" and after "Out:", a sentence each."""
    text = ast.get_docstring(ast.parse(file.read_text())) or ""
    found = re.search(r"In: (.+?)\.\s+Out: (.+?)\.(?:\s|$)", " ".join(text.split()))
    if found is None:
        raise ValueError(
            f"{file}: the docstring must say what comes in (In: ...) and out (Out: ...)"
        )
    return found[1], found[2]


if __name__ == "__main__":
    main()
