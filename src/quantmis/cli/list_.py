"""`quantmis list quantizers|attacks|losses|recipes`."""

from typing import Annotated

import typer

from quantmis.cli.console import console


def list_(
    what: Annotated[
        str,
        typer.Argument(help="quantizers, attacks, losses or recipes", metavar="quantizers|attacks|losses|recipes"),
    ],
) -> None:
    """List the quantizers, attacks, losses or recipes that exist, third parties' included, with their parameters."""
    from quantmis.cli.catalogue import catalogue, shorter_names

    out = console()
    out.print(catalogue(what))
    if what == "quantizers":
        out.print()
        out.print(shorter_names())
