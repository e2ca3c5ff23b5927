"""Tables with named columns, as they stand in a `.csv` or `.parquet` file, before anything is made of them.

A column is an array of numbers or an array of text. Rows are counted from 0, without the header.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quantmis.data.ceiling import ceiling, require_below
from quantmis.data.delimited import FROM_ZERO, read_rows
from quantmis.data.numbers import MISSING, numbers_or_text
from quantmis.errors import UserError, require
from quantmis.files import opened

Columns = Mapping[str, np.ndarray]

SEPARATORS = (",", ";", "\t", "|")
SHOWN = 5
REWRITE = "it is no Parquet file, or was cut short: write it again"
BATCH = 4096
"""Rows of a Parquet file that are read at once."""


def read_csv(
    path: Path,
    key: str,
    separator: str = ",",
    names: Sequence[str] | None = None,
    *,
    decimal: str = ".",
    thousands: str = "",
    words: Collection[str | None] = (),
    memory: float | None = None,
) -> Columns:
    """Return the columns of a CSV file in UTF-8; `names` stand for a header that the file does not have.

    A column whose every value is written as a number, with these `decimal` and `thousands` marks, becomes numbers,
    unless it is one of `words`. Raises `UserError` naming the row where one is longer or shorter than the header.
    """
    require(len(separator) == 1, f"{key}: the separator must be one character, got {separator!r}")
    require(separator not in '\r\n"', f"{key}: the separator cannot be {separator!r}")
    first, body = read_rows(path, key, separator)
    require(first, f"{key}: {path.name} is empty")
    header = [name.strip() for name in first] if names is None else list(names)
    if names is not None:
        body = [[value.strip(), *column] for value, column in zip(first, body, strict=True)]
        _require_width(path, key, len(first), header)
    require(body[0], f"{key}: {path.name} holds a header and no rows")
    _require_header(path, key, header, separator)
    most = ceiling(path.stat().st_size, memory)
    return _read(dict(zip(header, body, strict=True)), decimal, thousands, words, most)


def _read(
    columns: Mapping[str, list[str]], decimal: str, thousands: str, words: Collection[str | None], most: int
) -> Columns:
    for name, values in columns.items():
        _require_text_below(name, values, most)
    return {
        name: np.array(values) if name in words else numbers_or_text(values, decimal, thousands)
        for name, values in columns.items()
    }


def _require_text_below(name: str, values: Sequence[str], most: int) -> None:
    """Raise `UserError` where text would take too much: each value takes as much as the longest."""
    needed = 4 * len(values) * max(map(len, values), default=0)
    require_below(needed, most, f"column {name!r}, in which one value is much longer than the others,")


def _require_width(path: Path, key: str, width: int, header: Sequence[str]) -> None:
    message = f"{key}: row 0 of {path.name} has {width} values, the header names {len(header)} columns"
    require(width == len(header), message, hint="text that holds the separator stands in double quotes")


def read_parquet(path: Path, key: str, memory: float | None = None) -> Columns:
    """Return the columns of a Parquet file; what is neither a number nor text is refused by the name of its column."""
    arrow, table = parquet_of(path, key, memory)
    require(table.num_rows, f"{key}: {path.name} holds no rows")
    _require_header(path, key, table.column_names, ",")
    pairs = zip(table.column_names, table.columns, strict=True)
    most = ceiling(path.stat().st_size, memory)
    return {name: _from_arrow(arrow, name, column, key, most) for name, column in pairs}


def parquet_of(path: Path, key: str, memory: float | None = None) -> tuple[Any, Any]:
    """Return pyarrow and the table of a Parquet file; `UserError` where it would take more than `ceiling` allows."""
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(f"{key}: reading {path.name} needs pyarrow", hint="pip install 'quantmis[parquet]'") from error
    most, size, batches = ceiling(path.stat().st_size, memory), 0, list[Any]()
    with opened(path, key) as stream:
        try:
            file = parquet.ParquetFile(stream)
            least = file.metadata.num_rows * file.metadata.num_columns  # a byte for each value, whatever its type
            require_below(least, most, f"{key}: what {path.name} holds")
            for batch in file.iter_batches(batch_size=BATCH):
                size += batch.nbytes
                require_below(size, most, f"{key}: what {path.name} holds")
                batches.append(batch)
            return arrow, arrow.Table.from_batches(batches, schema=file.schema_arrow)
        except (OSError, ValueError, arrow.ArrowException) as error:
            why = (str(error) or "it is damaged").splitlines()[0]
            raise UserError(f"{key}: {path.name} is no Parquet file: {why}", hint=REWRITE) from error


def require_present(columns: Columns, names: Iterable[str], key: str) -> None:
    """Raise `UserError` with the row numbers unless every value of the columns `names` is there."""
    for name in names:
        missing = np.flatnonzero(absent(columns[name]))
        require(
            len(missing) == 0,
            f"{key}: column {name!r} has {len(missing)} missing values, in {_listed(missing.tolist())}",
            hint=f"{FROM_ZERO}; fill them or drop those rows: what stands for a missing value is yours to decide",
        )


def counts_rows(column: np.ndarray) -> bool:
    """Say whether a column of numbers counts the rows, from 0 or from 1, in any order.

    >>> counts_rows(np.array([2.0, 1.0, 3.0])), counts_rows(np.array([1.0, 2.0, 2.0]))
    (True, False)
    """
    first = column.min() if column.dtype.kind in "iuf" else -1
    return first in (0, 1) and bool((np.sort(column) == first + np.arange(len(column))).all())


def saved_index(path: Path, key: str) -> frozenset[str]:
    """Return the names of the columns of a Parquet file that pandas wrote for the index of a data frame."""
    from pyarrow import ArrowException, parquet

    with opened(path, key) as stream:
        try:
            about: Any = parquet.read_schema(stream).pandas_metadata or {}
            return frozenset(each for each in about.get("index_columns", ()) if isinstance(each, str))
        except (OSError, ValueError, AttributeError, ArrowException):
            return frozenset()  # whoever wrote this was not pandas


def absent(column: np.ndarray) -> np.ndarray:
    """Say for each value of a column whether it is missing."""
    if column.dtype.kind in "USO":
        return np.array([str(value).lower() in MISSING for value in column])
    return np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), dtype=bool)


def _require_header(path: Path, key: str, header: Sequence[str], separator: str) -> None:
    twice = sorted(name for name, count in Counter(header).items() if count > 1)
    require(not twice, f"{key}: {path.name} names the column {twice[0] if twice else ''!r} twice")
    other = [each for each in SEPARATORS if len(header) == 1 and each in header[0] and each != separator]
    require(
        not other,
        f"{key}: the whole header of {path.name} is one column",
        hint=f"its values seem to be separated by {other[0] if other else ''!r}: give separator",
    )


def _from_arrow(arrow: Any, name: str, column: Any, key: str, most: int) -> np.ndarray:
    types = arrow.types
    column = column.cast(column.type.value_type) if types.is_dictionary(column.type) else column
    kind = column.type
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        values = ["" if value is None else value.strip() for value in column.to_pylist()]
        _require_text_below(name, values, most)
        return np.array(values)
    is_numeric = types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind)
    require(
        is_numeric, f"{key}: column {name!r} holds {kind}", hint="numbers and text are read; convert it or leave it out"
    )
    if column.null_count == 0 and not types.is_boolean(kind):
        return column.to_numpy()
    return np.array([np.nan if value is None else float(value) for value in column.to_pylist()])


def _listed(rows: Sequence[int]) -> str:
    first = ", ".join(map(str, rows[:SHOWN]))
    rest = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return f"row {first}" if len(rows) == 1 else f"rows {first}{rest}"
