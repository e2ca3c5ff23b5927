"""`quantmis report DIR`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from quantmis.cli.options import Folder
from quantmis.cli.show import show


def report(
    folder: Folder,
    form: Annotated[
        str,
        typer.Option(
            "--format", help="html, pdf, md, json, csv, model-card, cyclonedx, dpia, conformity or conformity-pdf."
        ),
    ] = "html",
    out: Annotated[Path | None, typer.Option(help="Where to write it, - for standard output; by default DIR.")] = None,
    into: Annotated[Path | None, typer.Option(help="An existing model card that takes the section.")] = None,
    weights: Annotated[
        list[Path] | None, typer.Option(help="A file of the shipped model, for cyclonedx; may be given again.")
    ] = None,
    framework: Annotated[
        list[Path] | None,
        typer.Option(help="A TOML file of further expectations, for conformity, model-card and cyclonedx."),
    ] = None,
) -> None:
    """Write the report of DIR/results.json again, without torch: the page, or a document to send and to file."""
    from quantmis.documents.writing import DocumentRequest, write_document

    request = DocumentRequest(folder, form, out, into, tuple(weights or ()), tuple(framework or ()))
    source = write_document(request)
    if source.broken:
        print(f"warning: {source.broken}\n\nhint: quantmis verify {folder} says what was changed", file=sys.stderr)  # noqa: T201
    if str(out) == "-":
        return
    if form == "html":
        show(source.results, request.path)
    else:
        print(f"{form}: {request.path.resolve()}")  # noqa: T201
