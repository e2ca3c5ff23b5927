"""The command `quantmis`: data to stdout, progress and errors to stderr; exit code 2 where it could not run.

Everything heavy is imported inside the command that needs it, so that `--help` answers at once.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from quantmis import __version__
from quantmis.errors import UserError

if TYPE_CHECKING:
    from quantmis.results import Results

EXCEEDED = 1
EDITED = 1
COULD_NOT_RUN = 2
INTERRUPTED = 130
PAGE = "report.html"
MOST_SHOWN = 20

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
    except SystemExit as end:
        if end.code == INTERRUPTED:
            print("interrupted: run the same command again to go on from here", file=sys.stderr)  # noqa: T201
        raise
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


Out = Annotated[Path, typer.Option(help="The folder for results.json, report.html, the tables and finished work.")]
File = Annotated[Path, typer.Argument(help="The audit file.", metavar="FILE.toml")]
Shadows = Annotated[int | None, typer.Option(help="How many models to train, an even number; overrides the file.")]
Seed = Annotated[int | None, typer.Option(help="The same seed gives the same result; overrides the file.")]
Engine = Annotated[str | None, typer.Option(help="auto, stacked, unfolded or loop: how models are trained.")]
Executor = Annotated[str | None, typer.Option(help="local, or ray for the cluster of RAY_ADDRESS.")]
Address = Annotated[str | None, typer.Option(help="HOST:PORT of the Ray cluster, where RAY_ADDRESS is not.")]


@app.command()
def demo(
    out: Out = Path("quantmis-demo"),
    shadows: Annotated[int, typer.Option(help="How many models to train, an even number.")] = 64,
    seed: Annotated[int, typer.Option(help="The same seed gives the same result.")] = 0,
    engine: Annotated[str, typer.Option(help="auto, stacked, unfolded or loop: how models are trained.")] = "auto",
    executor: Annotated[str, typer.Option(help="local, or ray for the cluster of RAY_ADDRESS.")] = "local",
) -> None:
    """Audit an MLP on scikit-learn's digits, 1,797 real images: no file, no network, under a minute."""
    from quantmis.audit.demo import digits

    show(digits(out, shadows=shadows, seed=seed, engine=engine, executor=executor).document, out / PAGE)


@app.command()
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
) -> None:
    """Audit what FILE.toml describes; goes on from what the folder already holds."""
    from quantmis.audit.command import audit_file

    if file.is_dir() or not file.name:
        raise UserError(f"{file} is a folder", hint="name an audit file; quantmis init DIR writes one")
    folder = out or file.with_suffix("")
    options = {"shadows": shadows, "seed": seed, "engine": engine, "executor": executor, "address": address}
    show(audit_file(file, folder, options).document, folder / PAGE)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where data, model and weights are.", metavar="DIR")] = Path(),
    name: Annotated[str, typer.Option(help="The name of the file.")] = "audit.toml",
    data: Annotated[
        str | None, typer.Option(help="The file or folder in DIR, or module:function, of the data.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column that is predicted.")] = None,
    model: Annotated[str | None, typer.Option(help="module:Name, or a folder of transformers in DIR.")] = None,
    weights: Annotated[str | None, typer.Option(help="The file in DIR with the weights of the trained model.")] = None,
) -> None:
    """Write a commented audit file for the data, the model and the weights in DIR; asks where there is a choice."""
    from quantmis.audit.file.draft import draft

    given = {"data": data, "target": target, "model": model, "weights": weights}
    path = draft(folder, name, _asked, {key: value for key, value in given.items() if value is not None})
    print(f"{path}: read it, then run: quantmis audit {path}")  # noqa: T201


def _asked(question: str, choices: Sequence[str]) -> str:
    """Ask on the terminal; where nobody can answer, say what there is to choose from."""
    if not sys.stdin.isatty():
        hint = "give the option, or run quantmis init in a terminal to choose"
        raise UserError(f"{question} There are {', '.join(choices)}", hint=hint)
    for number, choice in enumerate(choices, start=1):
        typer.echo(f"{number:>3}  {choice}", err=True)
    while True:
        answer: str = typer.prompt(f"{question} Number or name", err=True).strip()
        if answer in choices:
            return answer
        if answer.isdecimal() and 0 < int(answer) <= len(choices):
            return choices[int(answer) - 1]
        typer.echo(f"there is no {answer}", err=True)


@app.command()
def schema(
    what: Annotated[str, typer.Argument(help="audit, or results for results.json.", metavar="audit|results")] = "audit",
) -> None:
    """Print the JSON schema of the audit file, for editors, or of results.json."""
    from quantmis.audit.file.schemas import json_schemas
    from quantmis.registry import suggestion

    schemas = json_schemas()
    if what not in schemas:
        raise UserError(f"there is no schema of {what!r}", hint=suggestion(what, schemas))
    print(json.dumps(schemas[what], indent=1))  # noqa: T201


@app.command()
def plan(file: File, shadows: Shadows = None, engine: Engine = None) -> None:
    """Say what auditing FILE.toml will take: models to train, time (measured), memory and disk."""
    from quantmis.audit.command import plan_file

    Console().print(plan_file(file, {"shadows": shadows, "engine": engine}).table())


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="The folder of an audit.", metavar="DIR")],
    form: Annotated[
        str, typer.Option("--format", help="html, pdf, md, json, csv, model-card, cyclonedx or dpia.")
    ] = "html",
    out: Annotated[Path | None, typer.Option(help="Where to write it, - for standard output; by default DIR.")] = None,
    into: Annotated[Path | None, typer.Option(help="An existing model card that takes the section.")] = None,
    weights: Annotated[
        list[Path] | None, typer.Option(help="A file of the shipped model, for cyclonedx; may be given again.")
    ] = None,
) -> None:
    """Write the report of DIR/results.json again, without torch: the page, or a document to send and to file."""
    from quantmis.documents.command import Asked, write_document

    asked = Asked(folder, form, out, into, tuple(weights or ()))
    source = write_document(asked)
    results = source.results
    if source.broken:
        print(f"warning: {source.broken}\n\nhint: quantmis verify {folder} says what was changed", file=sys.stderr)  # noqa: T201
    if str(out) == "-":
        return
    if form == "html":
        show(results, asked.path)
    else:
        print(f"{form}: {asked.path.resolve()}")  # noqa: T201


@app.command()
def gate(
    folder: Annotated[Path | None, typer.Argument(help="The folder of an audit.", metavar="DIR")] = None,
    policy: Annotated[Path | None, typer.Option(help="The limits, a TOML file.", metavar="FILE.toml")] = None,
    form: Annotated[str, typer.Option("--format", help="text, github, json or junit.")] = "text",
    weights: Annotated[
        Path | None, typer.Option(help="The file of weights that ships: it must be the one that was audited.")
    ] = None,
    example: Annotated[bool, typer.Option("--example", help="Print a policy to begin with.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of policies, for editors.")] = False,
) -> None:
    """Hold the audit in DIR against the limits of a policy: exit code 0 within them, 1 exceeded, 2 could not run.

    Limits are held against the cautious end of each interval, so that too little evidence exceeds them.
    """
    from quantmis.gate import command

    sheet = command.sheet(example, schema)
    written, within = command.run(folder, policy, form, weights) if sheet is None else (sheet, True)
    print(written, end="")  # noqa: T201
    if not within:
        raise typer.Exit(EXCEEDED)


@app.command()
def verify(folder: Annotated[Path, typer.Argument(help="The folder of an audit.", metavar="DIR")]) -> None:
    """Compute every number of DIR/results.json again from DIR/tables; exit 1 where anything was edited."""
    from quantmis.verify import verify as check

    found = check(folder)
    for line in found.edited[:MOST_SHOWN]:
        print(f"edited: {line}")  # noqa: T201
    if len(found.edited) > MOST_SHOWN:
        print(f"edited: and {len(found.edited) - MOST_SHOWN} more")  # noqa: T201
    if not found.edited:
        print(f"unchanged: {found.tables} tables, {found.numbers:,} numbers computed again")  # noqa: T201
    for line in found.unchecked:
        print(f"not checked: {line}")  # noqa: T201
    if found.edited:
        raise typer.Exit(EDITED)


@app.command()
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
        Path | None, typer.Option(help="The Markdown file that gets the study's section; by default OUT/RESULTS.md.")
    ] = None,
) -> None:
    """Repeat an experiment of the paper and say of each finding whether it holds; goes on from what OUT holds."""
    from quantmis.studies.command import reproduce as repeat
    from quantmis.studies.command import spoken_findings

    folder = out or Path(f"quantmis-{study}{'-fast' if fast else ''}")
    for line in spoken_findings(repeat(study, folder, data, fast, seed, results)):
        print(line)  # noqa: T201
    print(f"tables: {(results or folder / 'RESULTS.md').resolve()}")  # noqa: T201


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="The folder of an audit.", metavar="A")],
    second: Annotated[Path, typer.Argument(help="The folder of another.", metavar="B")],
) -> None:
    """Say what every version gives away and is worth in A and in B; paired where models and samples are the same."""
    from quantmis.compare import compared, notes, table

    Console().print(table(compared(first, second)))
    for note in notes(first, second):
        print(f"note: {note}")  # noqa: T201


@app.command("list")
def list_(
    what: Annotated[
        str,
        typer.Argument(help="quantizers, attacks, losses or recipes", metavar="quantizers|attacks|losses|recipes"),
    ],
) -> None:
    """List the quantizers, attacks, losses or recipes that exist, third parties' included, with their parameters."""
    from quantmis.audit.catalogue import catalogue

    Console().print(catalogue(what))


def show(results: "Results", page: Path) -> None:
    """Print the ranking and the verdict of an audit, and where its report is."""
    from quantmis.report import table, verdict_lines

    console = Console()
    console.print(table(results))
    for line in verdict_lines(results):
        console.print(line, markup=False, highlight=False)
    print(f"report: {page.resolve()}")  # noqa: T201
