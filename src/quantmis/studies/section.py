"""Write one section of a Markdown file of results, and leave the others alone; the same for programs beside it."""

import os
import platform
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from quantmis.errors import UserError
from quantmis.files import write_atomically
from quantmis.studies.numbers import as_json, slug

TITLE = (
    "# Results\n\nEvery section is written by the benchmark that it names; rerun one and only its section changes.\n"
)
PACKAGES = ("numpy", "scipy")
DOCUMENTS = "results"
"""The folder beside a file of results that holds its sections as JSON."""


def write_section(name: str, body: str, path: Path, packages: Sequence[str] = PACKAGES) -> None:
    """Replace the section `name` of the file at `path`, or add it at the end, with machine and versions named in it.

    Its tables and numbers are written as JSON too, into the folder `DOCUMENTS` beside that file.
    """
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    section = f"{begin}\n## {name}\n\n{machine(packages)}\n\n{body.strip()}\n{end}\n"
    text = text_at(path)
    before, marker, rest = text.partition(f"{begin}\n")
    after = rest.partition(f"{end}\n")[2] if marker else ""
    write_atomically(path, f"{before if marker else text + chr(10)}{section}{after}".encode(), private=False)
    write_document(name, section, path)


def write_document(name: str, section: str, path: Path) -> None:
    """Write what the `section` of the file at `path` says as JSON, `results/<name>.json` beside it."""
    folder = path.parent / DOCUMENTS
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{slug(name)}.json", as_json(name, section).encode(), private=False)


def sections(text: str) -> dict[str, str]:
    """Return the sections of a file of results by their names."""
    return dict(re.findall(r"^<!-- begin (.+?) -->\n(.*?)^<!-- end \1 -->$", text, re.DOTALL | re.MULTILINE))


def text_at(path: Path) -> str:
    """Return what stands in the file at `path`, the title where there is none; `UserError` where it is no text."""
    try:
        return path.read_text(encoding="utf-8") if path.exists() else TITLE
    except (OSError, UnicodeDecodeError) as error:
        hint = "a section is added to text in UTF-8; name another file with --results"
        raise UserError(f"cannot read {path}: {error}", hint=hint) from error


def machine(packages: Sequence[str]) -> str:
    """Return one line: processor, cores, Python and package versions."""
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return f"*{_processor()}; Python {platform.python_version()}, {versions}.*"


def markdown(header: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in Markdown.

    >>> print(markdown(["a", "b"], [[1, 2]]))
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"
