"""Pages that only the code can write: the help of every command, and what there is to choose from."""

import inspect
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import typer
from sphinx.application import Sphinx

FOLDER = Path(__file__).parents[1] / "reference" / "_generated"


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx reads any."""
    app.connect("builder-inited", lambda _: write())
    app.connect("autodoc-process-docstring", _bars)
    return {"parallel_read_safe": True}


def _bars(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Let a magnitude such as |w| stand as it is: reStructuredText would look for a substitution of that name."""
    lines[:] = [line if "`" in line or line.startswith(">>>") else line.replace("|", r"\|") for line in lines]


def write() -> None:
    """Write every page whose content has changed."""
    FOLDER.mkdir(exist_ok=True)
    pages = {
        "commands.md": commands(),
        "quantizers.md": classes("quantizers"),
        "shorthand.md": shorthand(),
        "attacks.md": classes("attacks"),
        "measures.md": measures(),
        "formats.md": formats(),
    }
    for name, text in pages.items():
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def commands() -> str:
    """Return the help of every command, from the command itself."""
    from quantmis.cli import app

    group: Any = typer.main.get_command(app)
    commands = {name: group.get_command(None, name) for name in sorted(group.list_commands(None))}
    parts = [f"## quantmis {name}\n\n{_command(command)}" for name, command in commands.items()]
    return "\n\n".join(parts) + "\n"


def _command(command: Any) -> str:
    rows = [_parameter(each) for each in command.params if each.name != "help"]
    table = "\n".join(["| | | default |", "| --- | --- | --- |", *rows]) if rows else ""
    return f"{command.help}\n\n{table}"


def _parameter(parameter: Any) -> str:
    name = ", ".join(f"`{each}`" for each in parameter.opts) if parameter.opts[0].startswith("-") else parameter.metavar
    default = "" if parameter.default in (None, ()) else f"`{parameter.default}`"
    cells = (str(name or parameter.name), parameter.help or "", default)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def formats() -> str:
    """Return the table of formats, from their declarations."""
    from quantmis.inspection.declared import table

    return table()


ABOUT = {"version": "a version", "attack": "an attack on a version", "release set": "versions released together"}


def measures() -> str:
    """Return a section for every measure, from its declaration."""
    from quantmis.measures import SUBJECTS, measures_of

    every = [measure for subject in SUBJECTS for measure in measures_of(subject).values()]
    return "\n\n".join(map(_measure, every)) + "\n"


def _measure(measure: Any) -> str:
    limits = ", ".join(f"`{measure.name}_{end}`" for end in measure.limits) or "none"
    low, high = (f"{end:g}" for end in measure.span)
    facts = [
        f"about: {ABOUT[measure.subject]}",
        f"unit: {measure.unit}",
        f"range: {low} to {high}"
        if measure.span[1] < 1e100
        else f"range: from {low}"
        if measure.span[0] > -1e100
        else "",
        f"better: {measure.better}" if measure.better != "neither" else "",
        f"limits: {limits}",
    ]
    source = f"Computed by `{measure.compute.__module__}`."
    return f"## {measure.name}\n\n*{measure.title}.* {measure.sentence}\n\n{'; '.join(filter(None, facts))}. {source}"


def shorthand() -> str:
    """Return a table of the shorter names of quantizers."""
    from quantmis.shorthand import SHORTHAND

    rows = [f"| `{name}` | `{whole}` |" for name, whole in SHORTHAND.items()]
    return "\n".join(["| shorter name | the quantizer |", "|---|---|", *rows]) + "\n"


def classes(what: str) -> str:
    """Return a directive for every quantizer or attack that comes with quantmis, under the name that users write."""
    from quantmis.attacks import ATTACKS
    from quantmis.quantizers import QUANTIZERS

    registry: Any = {"quantizers": QUANTIZERS, "attacks": ATTACKS}[what]
    found = [(name, registry.find(name)) for name in registry.names()]
    return "\n\n".join(_class(name, cls) for name, cls in found if cls.__module__.startswith("quantmis.")) + "\n"


def _class(name: str, cls: type) -> str:
    module = inspect.getmodule(cls)
    source = (inspect.getdoc(module) or "").partition("\n\n")[0].replace("\n", " ")
    spelled = f"{name}({', '.join(_fields(cls))})"
    options = ":no-members:\n:no-index:"
    directive = f"```{{eval-rst}}\n.. autoclass:: {cls.__module__}.{cls.__qualname__}\n"
    return f"## {name}\n\nWritten as `{spelled}`. {source}\n\n{directive}   " + options.replace("\n", "\n   ") + "\n```"


def _fields(cls: Any) -> Iterator[str]:
    for each in fields(cls):
        if each.init:
            yield each.name if each.default is MISSING else f"{each.name}={each.default!r}"
