"""The house: rooms that say what they are, drawn as they are, none above itself."""

from __future__ import annotations

import ast
import importlib.util
import re
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "leakaudit"
FILES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
    for file in sorted(CORE.rglob("*.py"))
}
PACKAGES = [module for module, file in FILES.items() if file.stem == "__init__"]
REFRESH = "run `python docs/make_architecture.py` and commit docs/architecture.md"


def imported_by(file: Path) -> set[str]:
    """Modules of the core that a module imports when it runs, wherever in it the import stands."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(file.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in FILES else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        waiting += ast.iter_child_nodes(node)
    return found & FILES.keys()


IMPORTS = {module: imported_by(file) for module, file in FILES.items()}


def imports_between(package: str) -> dict[str, set[str]]:
    """For each module and sub-package directly in a package, those beside it that it imports."""
    depth = package.count(".") + 1

    def beside(module: str) -> str:
        return module.split(".")[depth] if module.startswith(f"{package}.") else ""

    found: dict[str, set[str]] = {}
    for module, imports in IMPORTS.items():
        if room := beside(module):
            others = {beside(each) for each in imports} - {room, ""}
            found.setdefault(room, set()).update(others)
    return found


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make", ROOT / "docs" / "make_architecture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def page() -> str:
    return (ROOT / "docs" / "architecture.md").read_text()


def test_the_matrix_marks_every_import_between_the_rooms_of_the_core(page: str) -> None:
    block = page.split("## Imports between the rooms")[1].split("```")[1]
    rows = [line for line in block.splitlines() if re.match(r"\w [a-z_]+ ", line)]
    names = {row[0]: row[2:16].strip() for row in rows}
    columns = {index: names[letter] for index, letter in enumerate(block.splitlines()[1].split())}
    drawn = {
        row[2:16].strip(): {columns[i] for i, mark in enumerate(row[17::2]) if mark == "x"}
        for row in rows
    }
    assert drawn == imports_between("leakaudit"), REFRESH
    above = {name: index for index, name in columns.items()}
    assert all(above[a] < above[b] for a, below in drawn.items() for b in below)


@pytest.mark.parametrize("package", ["audit", "cli", "contracts", "data", "report", "threat"])
def test_the_drawing_of_a_package_has_an_arrow_for_every_import(page: str, package: str) -> None:
    block = page.split(f"## Inside {package}/")[1].split("```")[1]
    drawn = {}
    for line in block.splitlines()[2:]:
        room, _, targets = line.strip().partition(" --> ")
        drawn[room] = set(targets.split(" & ")) - {""}
    assert drawn == imports_between(f"leakaudit.{package}"), REFRESH


def test_what_the_command_draws_stands_in_the_page(maker: ModuleType, page: str) -> None:
    assert page.split(maker.BEGIN)[1].split(maker.END)[0] == maker.drawn(), REFRESH


def test_every_stop_on_the_way_of_an_image_is_there_and_reached_from_the_one_before(
    maker: ModuleType,
) -> None:
    stops = [f"leakaudit.{room}.{module}" for _, room, module, _, _ in maker.WAY]
    for stop, (_, _, _, name, _) in zip(stops, maker.WAY, strict=True):
        tree = ast.parse(FILES[stop].read_text())
        assert name in {getattr(node, "name", "") for node in tree.body}, (stop, name)

    # A package hands on the names of its modules, and a room-mate may do a part of the work.
    seen = {m: IMPORTS[m].union(*(IMPORTS[p] for p in IMPORTS[m] & {*PACKAGES})) for m in FILES}
    hands = [
        {m}.union(
            seen[m], *(seen[o] for o in seen[m] if o.rpartition(".")[0] == m.rpartition(".")[0])
        )
        for m in FILES
        if m not in PACKAGES
    ]
    unlinked = [
        (before, after)
        for before, after in pairwise(stops)
        if not any({before, after} <= reached for reached in hands)
    ]
    assert not unlinked, unlinked


@pytest.mark.parametrize("package", PACKAGES)
def test_no_two_rooms_of_a_package_import_each_other(package: str) -> None:
    TopologicalSorter(imports_between(package)).prepare()  # raises CycleError


@pytest.mark.parametrize("package", PACKAGES)
def test_a_room_is_small_and_says_what_comes_in_and_what_goes_out(
    maker: ModuleType, package: str
) -> None:
    enters, leaves = maker.in_and_out(FILES[package])
    assert enters
    assert leaves
    assert len(list(FILES[package].parent.glob("*.py"))) <= 15


def test_no_module_is_over_400_lines() -> None:
    long = {m: n for m, f in FILES.items() if (n := len(f.read_text().splitlines())) > 400}
    assert long == {}


def test_no_docstring_begins_with_what_or_points_at_another() -> None:
    # "What it does" and "The same, sorted" leave the reader to look for the subject.
    sources = [*FILES.values(), *ROOT.glob("*s/leakaudit_*/**/*.py")]
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [
        f"{file.relative_to(ROOT)}: {text.splitlines()[0]}"
        for file in sources
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, kinds) and (text := ast.get_docstring(node) or "")
        if text.startswith(("What ", "The same"))
    ]
    assert found == []
