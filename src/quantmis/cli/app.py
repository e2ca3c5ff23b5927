"""The command as a whole: which commands there are, and what an error is to whoever called it."""

import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from quantmis import __version__
from quantmis.errors import UserError

COULD_NOT_RUN = 2
INTERRUPTED = 130

COMMANDS = (
    *("demo", "audit", "search", "plan", "init", "schema", "inspect", "report", "gate", "attest"),
    *("compare", "verify", "reproduce", "list"),
)
"""The commands in the order of `--help`; each is the function of that name in the file of that name."""


class Commands(TyperGroup):
    """Find a command in the file of its name, when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a name, None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        one = typer.Typer(add_completion=False)
        one.command(cmd_name)(getattr(import_module(f"quantmis.cli.{module_of(cmd_name)}"), module_of(cmd_name)))
        return typer.main.get_command(one)


def module_of(command: str) -> str:
    """Return the name of the file and function of a command: Python has a `list` of its own."""
    return "list_" if command == "list" else command


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="The privacy audit for quantized models: how much of its training data each quantized version gives away.",
)


def main() -> None:
    """Run the command; a `UserError` becomes its message and hint on stderr, and exit code 2."""
    try:
        app()
    except SystemExit as end:
        if end.code == INTERRUPTED:
            print("interrupted: run the same command again to go on from here", file=sys.stderr)  # noqa: T201
        raise
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        if error.hint:
            print(f"\nhint: {error.hint}", file=sys.stderr)  # noqa: T201
        sys.exit(COULD_NOT_RUN)


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(__version__)  # noqa: T201
        raise typer.Exit
