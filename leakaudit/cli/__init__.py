"""The command line.

In: the arguments of a command.  Out: an exit code.  A command is imported when it is called.
"""

from __future__ import annotations

import difflib
import sys
import traceback
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, final

import typer
from typer.core import TyperGroup

from leakaudit.cli.printing.messages import say, say_why
from leakaudit.cli.printing.reading import announce
from leakaudit.errors import ExitCode, LeakauditError

# Name, the function that is called, and a line for --help, which must not wait for torch.
_COMMANDS = {
    "run": ("run:run", "Run an audit and write its report; again: resume."),
    "plan": ("plan:plan", "Show what a run would do, and how long it may take."),
    "report": ("report:report", "Render the report of a finished run again."),
    "verify": ("verify:verify", "Check that a run's files are those that were written."),
    "gate": ("gate:gate", "Exit 0, 1 or 3: the verdict of a run's policy, for CI."),
    "schema": ("schema:schema", "Print the JSON Schema of report.json."),
    "table": ("table:table", "Print a run's worst cases as a Markdown table."),
    "compare": ("compare:compare", "Show what changed between two audits of a system."),
    "list": ("catalog:list_", "List attacks, defenses and threats."),
    "show": ("catalog:show", "Show what an attack, defense, threat or capability is."),
    "init": ("init:init", "Write a commented audit file, or templates, to start from."),
    "disguises": ("disguises:disguises", "Try which attack reads through which disguise."),
    "dp": ("dp:app", "Compute differential privacy, and audit a defense's claim."),
}


class _EndedFromWithin(Exception):  # noqa: N818
    """A command's callee raised SystemExit, whose code is not one of this program's."""


@final
class _Commands(TyperGroup):
    """Imports the module of the command that is called, and no other."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _COMMANDS:
            close = difflib.get_close_matches(cmd_name, _COMMANDS, n=1)
            ctx.fail(
                f"no such command {cmd_name!r}{f'; did you mean {close[0]!r}?' if close else ''}"
            )
        module, name = _COMMANDS[cmd_name][0].split(":")
        if f"leakaudit.cli.commands.{module}" not in sys.modules:
            announce(cmd_name, sys.argv[1:])
        found = getattr(import_module(f"leakaudit.cli.commands.{module}"), name)
        if isinstance(found, typer.Typer):  # a command with commands of its own
            return typer.main.get_command(found)
        only = typer.Typer(add_completion=False, rich_markup_mode=None)
        only.command(cmd_name)(found)
        return typer.main.get_command(only)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except SystemExit as error:  # here, where none is the parser's own
            raise _EndedFromWithin(error.code) from error

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code.value), code.words) for code in ExitCode])


app = typer.Typer(
    name="leakaudit",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"leakaudit {version('leakaudit')}")
        raise typer.Exit


@app.callback()
def leakaudit(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Measure what split learning leaks: attacks x defenses, Dice against SSIM."""


def main() -> None:
    """Run the command line; exits with an `ExitCode`."""
    sys.exit(_run())


def _run() -> int:
    try:
        result = app(standalone_mode=False)
    except LeakauditError as error:
        say_why(error)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        result = ExitCode.INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return ExitCode.DONE
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # the parser's usage errors
            error.show()
            return int(error.exit_code)
        traceback.print_exc()
        if isinstance(error, _EndedFromWithin):
            say(
                "internal error: a plug-in or a library tried to end the program, by "
                f"SystemExit({error.args[0]!r}), see above; the command is not finished"
            )
        else:
            say("internal error, see above; please report it")
        return ExitCode.INTERNAL
    if result == ExitCode.INTERRUPTED:  # typer makes this of a KeyboardInterrupt
        say("interrupted; the same command goes on from here")
    return result if isinstance(result, int) else 0
