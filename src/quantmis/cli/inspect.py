"""`quantmis inspect FILE|FOLDER`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quantmis.cli.console import console

if TYPE_CHECKING:
    from rich.table import Table

    from quantmis.inspection.found import Inspection, Layer

HEAD = ("layer", "weights", "bits", "share a scale", "scales", "zero points", "kept as")
MANY = 40
"""Tensors of a kind that are listed without --all."""


def inspect(
    path: Annotated[Path, typer.Argument(help="A file of weights, or a folder of them.", metavar="FILE|FOLDER")],
    json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
    every: Annotated[bool, typer.Option("--all", help="List every layer and tensor.")] = False,
) -> None:
    """Say what a file of weights is: format, tool, bits of each layer, digest, and whether an audit of it is exact.

    Heads and configurations are read and no weight is, nothing in a file is run, and no data are needed.
    """
    from quantmis.inspection.inspecting import inspect as inspected

    found = inspected(path)
    if json:
        from json import dumps

        print(dumps(asdict(found), indent=1))  # noqa: T201
        return
    _print(found, every)


def _print(found: "Inspection", every: bool) -> None:
    out = console()
    for name, value in _facts(found).items():
        out.print(f"{name:<12} {value}", markup=False, highlight=False, soft_wrap=True)
    if found.layers:
        out.print()
        out.print(_layers(found, every))
    if found.unquantized:
        shown = found.unquantized if every else found.unquantized[:MANY]
        out.print(f"\nnot quantized: {len(found.unquantized)} tensors", markup=False, highlight=False)
        for each in shown:
            out.print(f"  {each.name}  {each.kind} {list(each.shape)}", markup=False, highlight=False)
        if len(found.unquantized) > len(shown):
            out.print(f"  ... and {len(found.unquantized) - len(shown)} more: --all lists them", highlight=False)


def _facts(found: "Inspection") -> dict[str, str]:
    """Return what stands above the tables, without what is not known."""
    exact = "yes" if found.is_exact else "in part" if found.is_read else "no"
    facts = {
        "it is": found.looks_like,
        "written by": found.tool,
        "files": ", ".join(f"{name} ({size:,} bytes)" for name, size in found.files[:8]),
        "SHA-256": found.digest,
        "says": "; ".join(f"{name} = {value}" for name, value in list(found.words.items())[:12]),
        "an audit": f"{'reads it' if found.is_read else 'does not read it'}; exact: {exact}. {found.why}",
        "nearest": found.nearest,
    }
    return {name: value for name, value in facts.items() if value}


def _layers(found: "Inspection", every: bool) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in HEAD:
        table.add_column(name, overflow="fold", ratio=3 if name == HEAD[0] else None)
    shown = found.layers if every else found.layers[:MANY]
    for each in shown:
        table.add_row(*map(escape, _cells(each)))
    if len(found.layers) > len(shown):
        table.add_row(f"... and {len(found.layers) - len(shown)} more: --all lists them")
    return table


def _cells(layer: "Layer") -> tuple[str, ...]:
    bits = "" if layer.bits is None else f"{layer.bits:g}"
    weights, group = ("" if value is None else f"{value:,}" for value in (layer.weights, layer.group))
    return layer.name, weights, bits, group, layer.scales, layer.zero_points, layer.kind
