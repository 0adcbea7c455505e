"""The command line; one module per command."""

from __future__ import annotations

import sys
import traceback

import click
import typer

from leakaudit.cli import catalog, init, plan, report, run
from leakaudit.errors import LeakauditError

app = typer.Typer(
    name="leakaudit",
    help="Measure what split learning leaks: attacks x defenses, Dice against SSIM.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run")(run.run)
app.command("plan")(plan.plan)
app.command("report")(report.report)
app.command("list")(catalog.list_)
app.command("show")(catalog.show)
app.command("init")(init.init)


def main() -> None:
    """Run the command line; exits with the codes of docs/exit-codes."""
    sys.exit(_run())


def _run() -> int:
    try:
        result = app(standalone_mode=False)
    except LeakauditError as error:
        print(f"leakaudit: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        print("leakaudit: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # click's own usage errors
            error.show()
            return int(error.exit_code)
        traceback.print_exc()
        print("leakaudit: internal error, see above; please report it", file=sys.stderr)
        return 70
    return result if isinstance(result, int) else 0
