"""`quantmis compare A B`."""

from pathlib import Path
from typing import Annotated

import typer

from quantmis.cli.console import console


def compare(
    first: Annotated[Path, typer.Argument(help="The folder of an audit.", metavar="A")],
    second: Annotated[Path, typer.Argument(help="The folder of another.", metavar="B")],
) -> None:
    """Say what every version gives away and is worth in A and in B; paired where models and samples are the same."""
    from quantmis.compare import compared, notes, table

    console().print(table(compared(first, second)))
    for note in notes(first, second):
        print(f"note: {note}")  # noqa: T201
