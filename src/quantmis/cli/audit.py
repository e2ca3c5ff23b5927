"""`quantmis audit FILE.toml`."""

from pathlib import Path
from typing import Annotated

import typer

from quantmis.cli.options import Address, Engine, Executor, File, Seed, Shadows
from quantmis.cli.show import PAGE, show
from quantmis.errors import UserError


def audit(
    file: File,
    out: Annotated[
        Path | None, typer.Option(help="The folder for the result; by default named after the file.")
    ] = None,
    shadows: Shadows = None,
    seed: Seed = None,
    engine: Engine = None,
    executor: Executor = None,
    address: Address = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Train every model anew; finished work in the folder is removed.")
    ] = False,
) -> None:
    """Audit what FILE.toml describes; goes on from what the folder already holds."""
    from quantmis.audit.config.running import audit_file

    if file.is_dir() or not file.name:
        raise UserError(f"{file} is a folder", hint="name an audit file; quantmis init DIR writes one")
    folder = out or file.with_suffix("")
    options = {"shadows": shadows, "seed": seed, "engine": engine, "executor": executor, "address": address}
    options["fresh"] = fresh or None
    show(audit_file(file, folder, options).document, folder / PAGE)
