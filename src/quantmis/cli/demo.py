"""`quantmis demo`."""

from pathlib import Path
from typing import Annotated

import typer

from quantmis.cli.show import PAGE, show


def demo(
    out: Annotated[
        Path, typer.Option(help="The folder for results.json, report.html, the tables and finished work.")
    ] = Path("quantmis-demo"),
    shadows: Annotated[int, typer.Option(help="How many models to train, an even number.")] = 64,
    seed: Annotated[int, typer.Option(help="The same seed gives the same result.")] = 0,
    engine: Annotated[str, typer.Option(help="auto, stacked, im2col or loop: how models are trained.")] = "auto",
    executor: Annotated[str, typer.Option(help="local, or ray for the cluster of RAY_ADDRESS.")] = "local",
) -> None:
    """Audit an MLP on scikit-learn's digits, 1,797 real images: no file, no network, under a minute."""
    from quantmis.audit.demo import digits

    show(digits(out, shadows=shadows, seed=seed, engine=engine, executor=executor).document, out / PAGE)
