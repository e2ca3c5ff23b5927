"""The command `quantmis`: data to stdout, progress and errors to stderr; exit code 2 where it could not run.

Everything heavy is imported inside the command that needs it, so that `--help` answers at once.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from quantmis import __version__
from quantmis.errors import UserError

if TYPE_CHECKING:
    from quantmis.results import Results

COULD_NOT_RUN = 2

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="The privacy audit for quantized models: how much of its training data each quantized version gives away.",
)


def main() -> None:
    """Run the command; a `UserError` becomes its message and hint on stderr, and exit code 2."""
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        if error.hint:
            print(f"\nhint: {error.hint}", file=sys.stderr)  # noqa: T201
        sys.exit(COULD_NOT_RUN)


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(__version__)  # noqa: T201
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="The folder for results.json, report.html and the loss tables.")] = Path(
        "quantmis-demo"
    ),
    shadows: Annotated[int, typer.Option(help="How many models to train, an even number.")] = 64,
    seed: Annotated[int, typer.Option(help="The same seed gives the same result.")] = 0,
) -> None:
    """Audit an MLP on scikit-learn's digits, 1,797 real images: no file, no network, under a minute."""
    from quantmis.audit.demo import digits

    show(digits(out, shadows, seed).document)
    print(f"report: {(out / 'report.html').resolve()}")  # noqa: T201


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="The folder of an audit.", metavar="DIR")]) -> None:
    """Write DIR/report.html again from DIR/results.json, without torch."""
    from quantmis.audit.result import PAGE, AuditResult

    result = AuditResult.from_json(folder)
    result.to_html(folder / PAGE)
    show(result.document)
    print(f"report: {(folder / PAGE).resolve()}")  # noqa: T201


@app.command("list")
def list_(what: Annotated[str, typer.Argument(help="quantizers or attacks", metavar="quantizers|attacks")]) -> None:
    """List the quantizers or the attacks that exist, third parties' included, with their parameters."""
    from quantmis.audit.catalogue import catalogue

    Console().print(catalogue(what))


def show(results: "Results") -> None:
    """Print the verdict and the ranking of an audit."""
    from quantmis.report import terminal

    console = Console()
    console.print(terminal.table(results))
    for line in terminal.verdict_lines(results):
        console.print(line, markup=False, highlight=False)
