"""Messages on stderr and lines on stdout, broken where the terminal ends.

Where there is no terminal a message is one line.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap

from leakaudit.errors import LeakauditError, PatientsError
from leakaudit.visible import made_visible

_UNKNOWN_WIDTH = 80
_NARROWEST = 20
_INDENT = "    "
# A command in backticks and a quoted name are copied as a whole, so they are words.
_WORDS = re.compile(r"( *)((?:(?<!\S)\(?(?:`[^`]*`|'[^']*'|\"[^\"]*\")\S*)|\S+)")


def say(text: str) -> None:
    """Print a message for people on stderr, led by the name of the program.

    Lines are broken between words alone, so that a path or a name of any length can be copied.
    What does not print, which a file name may hold, is made visible; a line break is a space.

    Args:
        text: one sentence.
    """
    line = "leakaudit: " + made_visible(text.replace("\n", " "), "line")
    print(broken(line, _width()) if sys.stderr.isatty() else line, file=sys.stderr)


def say_why(error: LeakauditError) -> None:
    """Print why a command ends; of several bad patients each has a line of its own."""
    if isinstance(error, PatientsError):
        say(f"{error.headline}:")
        for line in error.lines:
            say(line)
    else:
        say(str(error))


def _width() -> int:
    """Columns of the terminal that stderr is; what COLUMNS says comes first."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return max(_NARROWEST, int(columns))
    try:
        found = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        found = 0
    return max(_NARROWEST, found or _UNKNOWN_WIDTH)


def broken(text: str, width: int) -> str:
    """Text in lines of at most ``width`` characters where its words allow that.

    Args:
        text: printable; a command in backticks and a quoted name in it are a word each.
        width: columns of the terminal.
    """
    lines = [""]
    for gap, word in _words(text):
        if lines[-1].strip() and len(lines[-1]) + len(gap) + len(word) > width:
            lines.append(_INDENT + word)
        else:
            lines[-1] += gap + word
    return "\n".join(lines)


def _words(text: str) -> list[tuple[str, str]]:
    """The words of a text, each with the gap before it; a path with spaces in it is one word."""
    program, _, told = text.partition(": ")
    path, _, rest = told.partition(": ")
    if " " in path and os.path.lexists(path):
        return [("", f"{program}:"), (" ", f"{path}:"), *_WORDS.findall(f" {rest}")]
    return _WORDS.findall(text)


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
