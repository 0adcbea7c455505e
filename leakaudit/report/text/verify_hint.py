"""What to do about a report that is not as it was written, as the end of an error's sentence."""

from __future__ import annotations

import shlex
from pathlib import Path


def verify_hint(folder: Path) -> str:
    """The command that checks every file, and what writes the report anew.

    Args:
        folder: of a run or of a report, as the user can name it.
    """
    return (
        f"`leakaudit verify {shlex.quote(str(folder))}` says what else is not as it was written; "
        "then run the audit again, which keeps the results that are whole and writes the report "
        "anew"
    )
