"""Prints cautions about an audit before it starts; they stop nothing."""

from __future__ import annotations

from leakaudit.audit.planning.audited import Plan
from leakaudit.audit.planning.unused_settings import unused_settings
from leakaudit.cli.printing.messages import say
from leakaudit.records import Caution


def print_cautions(plan: Plan, *, with_data: bool = True) -> None:
    """Say on stderr which keys of the audit file have no effect, and what is uncertain.

    Args:
        plan: the audit.
        with_data: whether to say what is uncertain about the patients as well.
    """
    for one in unused_settings(plan.config, plan.matrix):
        say(f"caution: {one}")
    for caution in plan.cohort.cautions if with_data else ():
        say(caution_line(caution))


def caution_line(caution: Caution) -> str:
    """A caution about the data as a line: how grave, which kind, what, and whom it is about."""
    gravity = "grave caution" if caution.grave else "caution"
    whom = f" ({caution.whom})" if caution.whom else ""
    return f"{gravity}: {caution.kind}: {caution.words}{whom}"
