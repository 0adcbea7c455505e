"""Lines on stderr while jobs end: folded on a terminal, whole elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from leakaudit.cli.commands.plan import minutes_words
from tests.cli.terminal import on_terminal

pytestmark = pytest.mark.slow  # every test starts whole processes

LABEL = (
    "tensor-inversion of level 0 of data site 1 on cut 2 GaussianNoise(std=3.0, relative=False) "
    "seed 0"
)
CODE = """
import sys
from types import SimpleNamespace
from leakaudit.cli.printing.progress import progress_events

label, reason = sys.argv[1:]
with progress_events() as events:
    events.planned(28, 23)
    job = SimpleNamespace(label=label, key="k")
    ended = SimpleNamespace(state="ok", seconds=12.5, reason=reason)
    if events.started is not None:
        events.started(job)
    events.ended(job, ended)
"""


def shown(columns: int, label: str, reason: str = "") -> list[str]:
    """What stands on a terminal of that many columns, codes taken out."""
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
    command = [sys.executable, "-c", CODE, label, reason]
    code, _, found = on_terminal(command, columns, {**environment, "TERM": "xterm"}, None)
    assert code == 0, found
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", found).replace("\r", "\n").splitlines()


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("label", [LABEL, LABEL + " " + "y" * 200], ids=["words", "a long word"])
def test_a_line_is_folded_on_a_terminal(columns: int, label: str) -> None:
    lines = shown(columns, label, "a reason " * 9)
    assert max(map(len, lines)) <= columns
    text = " ".join(" ".join(lines).split())
    assert "23 of 28 jobs were done before" in text
    assert f"24/28 ok 12.5 s {LABEL}" in text
    assert ("a reason " * 9).strip() in text


def test_a_line_stays_whole_where_there_is_no_terminal() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, LABEL, ""],
        env={**os.environ, "COLUMNS": "60"},
        capture_output=True,
        text=True,
    )
    assert done.stderr.splitlines() == [
        "23 of 28 jobs were done before",
        f"24/28 ok          12.5 s  {LABEL}",
    ]


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0.4, "less than a minute"),
        (1.0, "about 1 minute"),
        (1.4, "about 1 minute"),
        (1.6, "about 2 minutes"),
        (90.0, "about 90 minutes"),
    ],
)
def test_an_estimate_is_said_in_good_grammar(minutes: float, words: str) -> None:
    assert minutes_words(minutes) == words
