"""Which browser the tests of the report start, and how."""

from __future__ import annotations

import os

CHROMIUM = os.environ.get("LEAKAUDIT_CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
