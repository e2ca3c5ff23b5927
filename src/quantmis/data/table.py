"""Tables with named columns, as they stand in a `.csv` or `.parquet` file, before anything is made of them.

A column is an array of numbers or an array of text. Rows are counted from 1, without the header.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quantmis.data.paths import unreadable
from quantmis.errors import UserError, require

Columns = Mapping[str, np.ndarray]

MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "?"})
"""What stands for a missing value in text, in lower case."""

SEPARATORS = (";", "\t", "|")
SHOWN = 5


def read_csv(path: Path, key: str, separator: str = ",", names: Sequence[str] | None = None) -> Columns:
    """Return the columns of a CSV file in UTF-8; `names` stand for a header that the file does not have.

    A column whose every value reads as a number becomes numbers. Raises `UserError` naming the row where one is longer
    or shorter than the header, or where a value is missing.
    """
    require(len(separator) == 1, f"{key}: the separator must be one character, got {separator!r}")
    rows = _rows(path, key, separator)
    require(rows, f"{key}: {path.name} is empty")
    header = [name.strip() for name in rows[0]] if names is None else list(names)
    body = rows[1:] if names is None else rows
    require(body, f"{key}: {path.name} holds a header and no rows")
    _require_header(path, key, header, separator)
    for number, row in enumerate(body, start=1):
        require(
            len(row) == len(header),
            f"{key}: row {number} of {path.name} has {len(row)} values, the header names {len(header)} columns",
            hint="text that holds the separator stands in double quotes",
        )
    columns = zip(header, zip(*body, strict=True), strict=True)
    return {name: _numbers_or_text([value.strip() for value in column]) for name, column in columns}


def read_parquet(path: Path, key: str) -> Columns:
    """Return the columns of a Parquet file; what is neither a number nor text is refused by the name of its column."""
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(f"{key}: reading {path.name} needs pyarrow", hint="pip install 'quantmis[parquet]'") from error
    try:
        found = parquet.ParquetFile(path).read()
    except OSError as error:
        raise unreadable(path, key, error) from error
    except arrow.ArrowException as error:
        raise UserError(f"{key}: {path.name} is no Parquet file: {str(error).splitlines()[0]}") from error
    require(found.num_rows, f"{key}: {path.name} holds no rows")
    _require_header(path, key, found.column_names, ",")
    pairs = zip(found.column_names, found.columns, strict=True)
    return {name: _from_arrow(arrow, name, column, key) for name, column in pairs}


def require_present(columns: Columns, used: Iterable[str], key: str) -> None:
    """Raise `UserError` with the row numbers unless every value of the columns `used` is there."""
    for name in used:
        missing = np.flatnonzero(absent(columns[name])) + 1
        require(
            len(missing) == 0,
            f"{key}: column {name!r} has {len(missing)} missing values, in {_listed(missing.tolist())}",
            hint="fill them or drop those rows: what stands for a missing value is yours to decide",
        )


def absent(column: np.ndarray) -> np.ndarray:
    """Say for each value of a column whether it is missing."""
    if column.dtype.kind in "USO":
        return np.array([str(value).lower() in MISSING for value in column])
    return np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), dtype=bool)


def _rows(path: Path, key: str, separator: str) -> list[list[str]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True) if row]
    except OSError as error:
        raise unreadable(path, key, error) from error
    except UnicodeDecodeError as error:
        hint = "save it as UTF-8"
        raise UserError(f"{key}: {path.name} is no text in UTF-8, at byte {error.start}", hint=hint) from error
    except csv.Error as error:
        raise UserError(f"{key}: {path.name} is no CSV: {error}") from error


def _require_header(path: Path, key: str, header: Sequence[str], separator: str) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    require(not twice, f"{key}: {path.name} names the column {twice[0] if twice else ''!r} twice")
    other = [each for each in SEPARATORS if len(header) == 1 and each in header[0] and each != separator]
    require(
        not other,
        f"{key}: the whole header of {path.name} is one column",
        hint=f"its values seem to be separated by {other[0] if other else ''!r}: give separator",
    )


def _numbers_or_text(values: list[str]) -> np.ndarray:
    """Return numbers where every value that is there reads as one; a missing number is NaN."""
    present = [value for value in values if value.lower() not in MISSING]
    try:
        numbers = [float(value) for value in present]
    except ValueError:
        return np.array(values)
    if not numbers:
        return np.array(values)
    rest = iter(numbers)
    return np.array([np.nan if value.lower() in MISSING else next(rest) for value in values])


def _from_arrow(arrow: Any, name: str, column: Any, key: str) -> np.ndarray:
    types = arrow.types
    column = column.cast(column.type.value_type) if types.is_dictionary(column.type) else column
    kind = column.type
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return np.array(["" if value is None else value.strip() for value in column.to_pylist()])
    known = types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind)
    require(known, f"{key}: column {name!r} holds {kind}", hint="numbers and text are read; convert it or leave it out")
    if column.null_count == 0 and not types.is_boolean(kind):
        return column.to_numpy()
    return np.array([np.nan if value is None else float(value) for value in column.to_pylist()])


def _listed(rows: Sequence[int]) -> str:
    first = ", ".join(map(str, rows[:SHOWN]))
    rest = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return f"row {first}" if len(rows) == 1 else f"rows {first}{rest}"
