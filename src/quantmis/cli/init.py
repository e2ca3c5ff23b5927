"""`quantmis init DIR`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from quantmis.errors import UserError


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
    from quantmis.audit.config.draft import draft

    answers = {"data": data, "target": target, "model": model, "weights": weights}
    path = draft(folder, name, _ask, {key: value for key, value in answers.items() if value is not None})
    print(f"{path}: read it, then run: quantmis audit {path}")  # noqa: T201


def _ask(question: str, choices: Sequence[str]) -> str:
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
