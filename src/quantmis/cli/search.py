"""`quantmis search FILE.toml`."""

from pathlib import Path
from typing import Annotated

import typer

from quantmis.cli.options import Engine, File, Seed, Shadows
from quantmis.errors import UserError


def search(
    file: File,
    out: Annotated[
        Path | None, typer.Option(help="The folder for the result; by default named after the file, with -search.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="The limits, a policy of the gate; overrides the file.", metavar="FILE.toml")
    ] = None,
    candidates: Annotated[
        int | None, typer.Option(help="How many candidates are measured; overrides the file.")
    ] = None,
    shadows: Shadows = None,
    seed: Seed = None,
    engine: Engine = None,
) -> None:
    """Search for the version to ship: hundreds of candidates on pairs trained once, the best of them audited elsewhere.

    What is varied, and the limits, stand in the section search of FILE.toml. Ctrl-C keeps the front; the same command
    goes on from there. It needs optuna, which the extra search installs.
    """
    from quantmis.search.asking import search_file
    from quantmis.search.words import printed

    if file.is_dir() or not file.name:
        raise UserError(f"{file} is a folder", hint="name an audit file; quantmis init DIR writes one")
    folder = out or file.with_name(f"{file.stem}-search")
    overrides = {"shadows": shadows, "seed": seed, "engine": engine}
    changes = {"policy": None if policy is None else str(policy), "candidates": candidates}
    printed(search_file(file, folder, overrides, changes), folder)
