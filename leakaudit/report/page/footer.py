"""The foot of every printed page, so that a signed sheet says whose it is."""

from __future__ import annotations

import re

from leakaudit.visible import made_visible

DIGEST_SHOWN = 12
_MOST = 32


def footer_rule(name: str, digest: str) -> str:
    """A style rule for the foot: the audit, the hash of its report.json, and the page.

    Args:
        name: of the audit; a long one is cut off.
        digest: SHA-256 of report.json in hexadecimal; empty for a page that belongs to none.

    Returns:
        CSS in which the name is inert, empty without a digest.
    """
    if not digest:
        return ""
    shown = made_visible(name, "name")
    shown = shown if len(shown) <= _MOST else f"{shown[: _MOST - 1]}…"
    text = f"{shown} · report.json {digest[:DIGEST_SHOWN]}"
    escaped = re.sub(r"[^A-Za-z0-9 ]", lambda found: f"\\{ord(found[0]):x} ", text)
    look = "color: #515d64; font: 7pt system-ui, sans-serif;"
    pages = 'counter(page) " / " counter(pages)'
    return f'\n@page {{ @bottom-right {{ content: "{escaped}   " {pages}; {look} }} }}\n'
