"""What a command says on stderr before it starts, and that stops nothing."""

from __future__ import annotations

from leakaudit.audit.runner import Plan
from leakaudit.audit.unread import unread
from leakaudit.cli.messages import say


def print_cautions(plan: Plan) -> None:
    """Say which keys of the audit file have no effect."""
    for one in unread(plan.config, plan.matrix):
        say(f"caution: {one}")
