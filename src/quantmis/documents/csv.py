"""The ranking as a table for spreadsheets and data frames: a row per version, every number with its interval.

In the file, versions that are released together have a row too.

A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@`, in full width too, for a formula, and a name comes
from the user: text that begins so is given an apostrophe in front, which spreadsheets show as text (OWASP, "CSV
Injection"). So is what stands behind a semicolon or a bar, where spreadsheets of some countries begin another cell;
tabs and new lines have become spaces by then.
"""

import csv
import io
import re
from collections.abc import Mapping

from quantmis.documents.measures import counted, numbers, of_release, plain
from quantmis.documents.source import Source, audited
from quantmis.measures import Number
from quantmis.report.words import clean
from quantmis.results import Results, ResultSubject, VersionResult

FORMULA = re.compile(r"""(^|[;|])([\s"]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])""")
"""Where a formula may begin: at the start of a cell, or behind what divides cells elsewhere."""

PARTS = ("", "_low", "_high", "_reason")
EXACT = ("", "_reason")


def render(source: Source) -> bytes:
    """Return the ranking of an audit as CSV (RFC 4180) in UTF-8."""
    rows = [*table(source.results), *together(source.results)]
    head = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, head, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def table(results: Results) -> list[dict[str, str | float | int]]:
    """Return a row per version, cells by the names of columns: a number, the ends of its interval, or its reason."""
    return [row for subject in audited(results) for row in _rows(subject)]


def together(results: Results) -> list[dict[str, str | float | int]]:
    """Return a row per release set: its versions under `version`, its numbers in columns of their own."""
    return [
        {"about": f"{subject.about}, released together", "version": text(release.name), **_plain(of_release(release))}
        for subject in audited(results)
        for release in subject.releases
    ]


def _rows(subject: ResultSubject) -> list[dict[str, str | float | int]]:
    return [
        {
            "about": subject.about,
            "rank": "" if rank is None else rank,
            "version": text(record.name),
            "tied_with": text("; ".join(tied)),
            "models": record.models,
            **_columns(record),
        }
        for rank, record, tied in subject.ordered
    ]


def _columns(record: VersionResult) -> dict[str, str | float]:
    return _plain(numbers(record))


def _plain(quantities: Mapping[str, Number]) -> dict[str, str | float]:
    cells: dict[str, str | float] = {}
    for name, number in quantities.items():
        parts = _cells(number, EXACT if name in counted() else PARTS)
        cells |= {text(name + part): cell for part, cell in parts.items()}
    return cells


def _cells(number: Number, parts: tuple[str, ...]) -> dict[str, str | float]:
    fields = plain(number)
    cells = {part: fields.get(part.removeprefix("_") or "value", "") for part in parts}
    return {part: text(cell) if isinstance(cell, str) else cell for part, cell in cells.items()}


def text(content: str) -> str:
    """Return user text that no spreadsheet takes for a formula.

    >>> text("=1+1"), text("sign"), text("a; @b")
    ("'=1+1", 'sign', "a;' @b")
    """
    return FORMULA.sub(r"\1'\2", clean(content, 1000))
