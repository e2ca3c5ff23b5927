"""`quantmis reproduce synthetic|admet`."""

from pathlib import Path
from typing import Annotated

import typer


def reproduce(
    study: Annotated[str, typer.Argument(help="synthetic or admet", metavar="synthetic|admet")],
    data: Annotated[
        Path | None, typer.Option(help="The folder that holds admet_group, as TDC writes it, and admet/<task>.npz.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder for what is measured; by default named after the study.")
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="A few problems and few shadow models, in minutes.")] = False,
    seed: Annotated[int, typer.Option(help="The same seed gives the same result.")] = 0,
    results: Annotated[
        Path | None,
        typer.Option(
            help="The Markdown file that gets the study's section, by default OUT/RESULTS.md; "
            "results/ beside it gets the same as JSON."
        ),
    ] = None,
) -> None:
    """Repeat an experiment of the paper and say of each finding whether it holds; goes on from what OUT holds."""
    from quantmis.studies.reproduction import reproduce as repeat
    from quantmis.studies.reproduction import spoken_findings

    folder = out or Path(f"quantmis-{study}{'-fast' if fast else ''}")
    for line in spoken_findings(repeat(study, folder, data, fast, seed, results)):
        print(line)  # noqa: T201
    print(f"tables: {(results or folder / 'RESULTS.md').resolve()}")  # noqa: T201
