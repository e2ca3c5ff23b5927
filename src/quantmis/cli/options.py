"""The options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

File = Annotated[Path, typer.Argument(help="The audit file.", metavar="FILE.toml")]
Folder = Annotated[Path, typer.Argument(help="The folder of an audit.", metavar="DIR")]
Shadows = Annotated[int | None, typer.Option(help="How many models to train, an even number; overrides the file.")]
Seed = Annotated[int | None, typer.Option(help="The same seed gives the same result; overrides the file.")]
Engine = Annotated[str | None, typer.Option(help="auto, stacked, im2col or loop: how models are trained.")]
Executor = Annotated[str | None, typer.Option(help="local, or ray for the cluster of RAY_ADDRESS.")]
Address = Annotated[str | None, typer.Option(help="HOST:PORT of the Ray cluster, where RAY_ADDRESS is not.")]
