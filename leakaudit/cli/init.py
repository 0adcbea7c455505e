"""`leakaudit init`: write a commented audit file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from leakaudit.cli.embedded import quick_audit_text
from leakaudit.errors import StoreError


def init(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("audit.yaml"),
) -> int:
    """Write a commented audit file to start from; an existing file is never replaced."""
    text, name = quick_audit_text(), _audit_name(path)
    body = text[text.index("name:") :].replace("runs/quick", f"runs/{name}", 1)
    body = body.replace("name: quick  ", f'name: "{name}"  ', 1)  # quoted: 010 is a name, too
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(f"# An audit. Run it with: leakaudit run {path.name}\n\n{body}")
    except FileExistsError as error:
        raise StoreError(f"{path}: exists already; name another file") from error
    except OSError as error:
        raise StoreError(f"{path}: can not be written ({error.strerror})") from error
    print(f"wrote {path}; next: leakaudit plan {path}")
    return 0


def _audit_name(path: Path) -> str:
    """The file's stem without what an audit's name may not hold."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")[:64] or "audit"
