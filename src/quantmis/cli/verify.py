"""`quantmis verify DIR`."""

from pathlib import Path
from typing import Annotated

import typer

from quantmis.cli.options import Folder

EDITED = 1
MOST_SHOWN = 20


def verify(
    folder: Folder,
    weights: Annotated[Path | None, typer.Option(help="The file of weights that must have been audited.")] = None,
) -> None:
    """Compute every number of DIR/results.json again from DIR/tables; exit 1 where anything was edited."""
    from quantmis.verify import verify as check

    checked = check(folder, weights)
    for line in checked.edited[:MOST_SHOWN]:
        print(f"edited: {line}")  # noqa: T201
    if len(checked.edited) > MOST_SHOWN:
        print(f"edited: and {len(checked.edited) - MOST_SHOWN} more")  # noqa: T201
    if not checked.edited:
        print(f"unchanged: {checked.tables} tables, {checked.numbers:,} numbers computed again")  # noqa: T201
    for line in checked.unchecked:
        print(f"not checked: {line}")  # noqa: T201
    if checked.edited:
        raise typer.Exit(EDITED)
