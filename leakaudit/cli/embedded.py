"""The audit file that comes with the program."""

from __future__ import annotations

from importlib.resources import files


def quick_audit_text() -> str:
    """The embedded audit file, comments included."""
    return files("leakaudit").joinpath("quick.yaml").read_text(encoding="utf-8")
