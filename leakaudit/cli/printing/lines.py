"""Lines that fit the terminal: 100 columns where there is none, or what COLUMNS says."""

from __future__ import annotations

import shutil
import textwrap

from leakaudit.visible import made_visible


def line_width() -> int:
    """How wide a line may be."""
    return max(20, shutil.get_terminal_size((100, 24)).columns)


def print_line(text: str) -> None:
    """Print a line, broken where it must; what follows a break stands further in.

    Characters that hide or reorder text, and terminal codes, are made visible: names are input.
    """
    text = made_visible(text)
    body = text.lstrip("\n")
    indent = body[: len(body) - len(body.lstrip())]
    lines = textwrap.wrap(
        body, line_width(), subsequent_indent=indent + "    ", break_on_hyphens=False
    )
    print("\n" * (len(text) - len(body)) + "\n".join(lines))
