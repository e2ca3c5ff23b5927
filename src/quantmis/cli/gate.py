"""`quantmis gate DIR --policy FILE.toml`."""

from pathlib import Path
from typing import Annotated

import typer

EXCEEDED = 1


def gate(
    folder: Annotated[Path | None, typer.Argument(help="The folder of an audit.", metavar="DIR")] = None,
    policy: Annotated[Path | None, typer.Option(help="The limits, a TOML file.", metavar="FILE.toml")] = None,
    form: Annotated[str, typer.Option("--format", help="text, github, json or junit.")] = "text",
    weights: Annotated[
        Path | None, typer.Option(help="The file of weights that ships: it must be the one that was audited.")
    ] = None,
    example: Annotated[bool, typer.Option("--example", help="Print a policy to begin with.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of policies, for editors.")] = False,
) -> None:
    """Hold the audit in DIR against the limits of a policy: exit code 0 within them, 1 exceeded, 2 could not run.

    Limits are held against the cautious end of each interval, so that too little evidence exceeds them.
    """
    from quantmis.gate import running

    sheet = running.sheet(example, schema)
    output, within = running.run(folder, policy, form, weights) if sheet is None else (sheet, True)
    print(output, end="")  # noqa: T201
    if not within:
        raise typer.Exit(EXCEEDED)
