"""What a finished audit prints on the terminal."""

from pathlib import Path
from typing import TYPE_CHECKING

from quantmis.cli.console import console

if TYPE_CHECKING:
    from quantmis.results import Results

PAGE = "report.html"


def show(results: "Results", page: Path) -> None:
    """Print the ranking and the verdict of an audit, and where its report is."""
    from quantmis.report.terminal import table, verdict_lines

    out = console()
    out.print(table(results))
    for line in verdict_lines(results):
        out.print(line, markup=False, highlight=False)
    print(f"report: {page.resolve()}")  # noqa: T201
