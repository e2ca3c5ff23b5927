"""Text in files, and the rows of CSV files: UTF-8, with or without a mark of byte order; other encodings are named.

A file in UTF-16 would be read as letters with NUL between them: so its first bytes are looked at.
"""

import csv
import io
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from quantmis.errors import UserError, require
from quantmis.files import content_of, opened

MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
FROM_ZERO = "rows count from 0, without the header"
QUOTES = "text that holds the separator stands in double quotes"
HEAD = 4096
AT_ONCE = 4096
FIELD = 131_072
"""Characters of a field of a table, as the csv module of Python has it."""


def require_text(path: Path, key: str) -> None:
    """Raise `UserError` for a file whose first bytes are no UTF-8 text: of another encoding, or of no text at all."""
    with opened(path, key) as stream:
        head = stream.read(HEAD)
    marked = next((name for mark, name in MARKS if head.startswith(mark)), None)
    name = marked or ("UTF-16, or no text" if b"\0" in head else None)
    require(
        name is None,
        f"{key}: {path.name} is no text in UTF-8 but {name}",
        hint=f"save it as UTF-8: iconv -f {marked or 'UTF-16LE'} -t UTF-8 old > new",
    )


def text_in(path: Path, key: str) -> str:
    """Return the text of a file; `UserError` where it is no UTF-8, with the byte where that shows."""
    require_text(path, key)
    try:
        return content_of(path, key).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _no_text(path, key, error) from error


def read_rows(path: Path, key: str, separator: str) -> tuple[list[str], list[list[str]]]:
    """Return the first row of a CSV file, and its further rows as columns: those as long as the first, others refused.

    Rows without any value are left out. Raises `UserError` for what is no CSV, and names a row of another length.
    """
    require_text(path, key)
    try:
        with opened(path, key) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as file, fields_of(FIELD):
            return _columns((row for row in csv.reader(file, delimiter=separator, strict=True) if row), path, key)
    except UnicodeDecodeError:
        text_in(path, key)  # which says where in the file
        raise
    except csv.Error as error:
        raise UserError(f"{key}: {path.name} is no CSV: {error}", hint=QUOTES) from error
    except OSError as error:
        raise UserError(f"{key}: cannot read {path}: {error.strerror or error}") from error


def _columns(rows: Iterator[list[str]], path: Path, key: str) -> tuple[list[str], list[list[str]]]:
    """Return columns that grow by many rows at a time: a list for each row would take several times the file."""
    header = next(rows, [])
    columns: list[list[str]] = [[] for _ in header]
    done = 0
    while block := list(islice(rows, AT_ONCE)):
        for number, row in enumerate(block, start=done):
            require(
                len(row) == len(header),
                f"{key}: row {number} of {path.name} has {len(row)} values, the header names {len(header)} columns",
                hint=f"{FROM_ZERO}; {QUOTES}",
            )
        for column, values in zip(columns, zip(*block, strict=True), strict=True):
            column.extend(value.strip() for value in values)
        done += len(block)
    return header, columns


@contextmanager
def fields_of(most: int) -> Generator[None]:
    """Let fields of CSV have at most so many characters, and put back what the process had before."""
    before = csv.field_size_limit(most)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _no_text(path: Path, key: str, error: UnicodeDecodeError) -> UserError:
    return UserError(f"{key}: {path.name} is no text in UTF-8, at byte {error.start}", hint="save it as UTF-8")
