"""`quantmis list quantizers|attacks|losses|recipes`."""

from typing import Annotated

import typer
from rich.console import Console


def list_(
    what: Annotated[
        str,
        typer.Argument(help="quantizers, attacks, losses or recipes", metavar="quantizers|attacks|losses|recipes"),
    ],
) -> None:
    """List the quantizers, attacks, losses or recipes that exist, third parties' included, with their parameters."""
    from quantmis.cli.catalogue import catalogue

    Console().print(catalogue(what))
