"""`leakaudit init`: write a commented audit file, or a copy of the templates."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from leakaudit.cli.embedded import quick_audit_text
from leakaudit.cli.printing.messages import print_line
from leakaudit.errors import StoreError, UsageError
from leakaudit.report.page.templates import own_templates

AuditPath = Annotated[
    Path | None, typer.Argument(help="Audit file to write.", show_default="audit.yaml")
]
Copies = Annotated[
    Path | None,
    typer.Option(
        "--templates",
        metavar="FOLDER",
        help="Write a copy of the report's templates into FOLDER, new or empty, instead.",
    ),
]

_IMAGES = (
    "images: none                     # `blurred` or `full` puts patient images into the report\n"
)


def init(path: AuditPath = None, templates: Copies = None) -> int:
    """Write a commented audit file to start from; an existing file is never replaced."""
    if templates is None:
        return _write_audit(Path("audit.yaml") if path is None else path)
    if path is not None:
        raise UsageError(
            f"--templates writes templates alone; write {path} by `leakaudit init {path}`"
        )
    return _write_templates(templates)


def _write_audit(path: Path) -> int:
    text, name = quick_audit_text(), _audit_name(path)
    body = text[text.index("name:") :].replace("runs/quick", f"runs/{name}", 1)
    body = body.replace("name: quick  ", f'name: "{name}"  ', 1)  # quoted: 010 is a name, too
    body = f"{body[: body.index('images: ')]}{_IMAGES}"  # real patients will take their place
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(f"# An audit. Run it with: leakaudit run {path.name}\n\n{body}")
    except FileExistsError as error:
        raise StoreError(f"{path}: exists already; name another file") from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror})") from error
    print(f"wrote {path}; next: leakaudit plan {path}")
    return 0


def _write_templates(folder: Path) -> int:
    copies = own_templates()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise StoreError(f"{folder}: expected a new or an empty folder, and it is not empty")
        for name, data in copies.items():
            with (folder / name).open("xb") as file:
                file.write(data)
    except OSError as error:
        where = error.filename or folder
        raise StoreError(f"{where}: cannot be written ({error.strerror})") from error
    print_line(f"wrote {len(copies)} templates into {folder}; change some and delete the others")
    print_line(f"next: leakaudit report RUN --templates {shlex.quote(str(folder))}")
    return 0


def _audit_name(path: Path) -> str:
    """The file's stem without what an audit's name may not hold."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")[:64] or "audit"
