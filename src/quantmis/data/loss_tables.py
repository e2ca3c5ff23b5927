"""Loss tables that another framework made: read from a file, a data frame or arrays, and brought into rows and columns.

Either whole arrays, `losses` and `member` [models, samples] (one row may be [samples]), or *long* columns with an entry
each: `loss`, `member`, and `model` and `sample`, which name the row and the column that an entry stands in.
"""

import csv
import re
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from quantmis.errors import UserError, require
from quantmis.registry import suggestion

LONG = ("model", "sample", "loss", "member", "signal", "entropy", "label")
WHOLE = ("losses", "member", "signal", "entropy", "label")
NAMED = "named/"
"""What the names of further signals begin with, as `named/min_k`."""
PLURAL = {"loss": "losses"}
BROKEN = (ValueError, EOFError, RuntimeError, csv.Error, tokenize.TokenError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged file raises: RuntimeError for zip files that are encrypted or of a kind that is not read."""
HINTS = {
    ".npz": "pickled objects are refused: they can run code; save plain arrays",
    ".csv": "a header with the column loss, then as many values in each row; text with commas stands in double quotes",
    ".parquet": "it is no Parquet file, or was cut short: write it again",
}


def read_columns(source: Any) -> dict[str, np.ndarray]:
    """Return the columns of a mapping, of a data frame, or of an `.npz`, `.csv` or `.parquet` file, by name.

    Nothing in a file is executed. Raises `UserError` for other sources and for files that cannot be read.
    """
    if isinstance(source, str | Path):
        return _file(Path(source))
    names = source.keys() if isinstance(source, Mapping) else getattr(source, "columns", None)
    hint = "a path, a dict of arrays, or a data frame"
    require(names is not None, f"a loss table cannot be a {type(source).__name__}", hint=hint)
    return {str(name): np.asarray(source[name]) for name in names or ()}


def arrays_of(
    source: Any,
    needed: tuple[str, ...] = ("losses", "member"),
    ids: np.ndarray | None = None,
    samples: int | None = None,
) -> dict[str, Any]:
    """Return the arrays of a loss table [models, samples] by the names of `Evidence`; `label` is [samples].

    Arrays `named/min_k` and the like, as audits save them, are further signals. Where `ids` name the samples of an
    audit, or these are so many `samples`, the columns are put into their order, by the ids or row numbers in the long
    column `sample`; otherwise samples are in the natural order of their names, "p2" before "p10".

    Raises `UserError` where one `needed` is missing, an entry is missing or there twice, or a sample is in the table
    and not in the audit.
    """
    columns = read_columns(source)
    if "loss" in columns and "sample" in columns and samples is not None:
        columns = {**columns, "sample": _rows_of(columns["sample"], ids, samples)}
    found = _pivoted(columns) if "loss" in columns else {name: columns[name] for name in WHOLE if name in columns}
    for name in needed:
        hint = suggestion(name, columns)
        require(name in found, f"the loss table has no {name}, only {', '.join(columns) or 'nothing'}", hint=hint)
    typed = {name: value if name == "label" else _typed(name, value) for name, value in found.items()}
    named = {name.removeprefix(NAMED): _typed(name, columns[name]) for name in columns if name.startswith(NAMED)}
    return typed | ({"named": named} if named else {})


def _typed(name: str, value: np.ndarray) -> np.ndarray:
    rows = np.atleast_2d(value)
    if name != "member":
        require(rows.dtype.kind in "biuf", f"{name}: expected numbers, got {rows.dtype}")
        return rows.astype(np.float64)
    known = rows.dtype.kind in "biuf" and bool(np.isin(rows, (0, 1)).all())
    require(known, f"member: expected true and false, or 1 and 0, got {rows.dtype}")
    return rows.astype(bool)


def _pivoted(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    shape = columns["loss"].shape
    for name in (each for each in LONG if each in columns):
        column = columns[name]
        one = column.ndim == 1 and column.shape == shape
        require(one, f"{name}: expected a column with an entry for each loss, got {column.shape} for {shape}")
        plain = column.dtype.kind in "biufSU" or all(isinstance(each, str) for each in column.tolist())
        require(plain, f"{name}: expected numbers or text, got {column.dtype}")
    entries = len(columns["loss"])
    require(entries > 0, "the loss table has no entries")
    models, row = np.unique(columns.get("model", np.zeros(entries)), return_inverse=True)
    samples, column = _in_order(columns.get("sample", np.arange(entries)))
    place = row * len(samples) + column
    require(
        entries == len(models) * len(samples) and len(np.unique(place)) == entries,
        f"{entries} entries do not fill a table of {len(models)} models and {len(samples)} samples, each once",
        hint="columns model and sample name the place of each entry; every model needs a loss at every sample",
    )
    order, whole = np.argsort(place), (len(models), len(samples))
    tables = {PLURAL.get(name, name): columns[name][order].reshape(whole) for name in LONG[2:] if name in columns}
    if "label" in tables:
        tables["label"] = tables["label"][0]
    return tables


def _in_order(names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the different names in their natural order, numbers in words as numbers, and the place of each entry."""
    values, place = np.unique(names, return_inverse=True)
    if values.dtype.kind not in "USO":
        return values, place
    order = sorted(range(len(values)), key=lambda each: _natural(str(values[each])))
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return values[order], ranks[place]


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Return what "p2" is sorted by, so that it comes before "p10"."""
    parts = re.split(r"(\d{1,18})", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def _rows_of(names: np.ndarray, ids: np.ndarray | None, samples: int) -> np.ndarray:
    """Return the row in the audit of each name in a column `sample`: by the ids of the data, or as row numbers."""
    written = [_spelled(name) for name in names.tolist()]
    where = {str(name): row for row, name in enumerate(range(samples) if ids is None else ids.tolist())}
    strange = list(dict.fromkeys(name for name in written if name not in where))
    message = f"the column sample names {len(strange)} samples that are not in the data, the first is {strange[:1]}"
    by_rows = "without [data] id they are row numbers from 0: name the column of ids there"
    hint = by_rows if ids is None else f"they are the ids that [data] id names, such as {', '.join(list(where)[:3])}"
    require(not strange, message, hint=hint)
    rows = np.array([where[name] for name in written], dtype=np.int64)
    missing = sorted(set(range(samples)) - set(rows.tolist()))
    require(
        not missing,
        f"the loss table has no loss of {len(missing)} samples, the first is row {missing[:1]} of the data",
        hint="a loss for every sample of the audit, members, non-members and others",
    )
    return rows


def _spelled(name: Any) -> str:
    return str(int(name)) if isinstance(name, float) and name.is_integer() else str(name)


def _file(path: Path) -> dict[str, np.ndarray]:
    readers = {".npz": _npz, ".csv": _csv, ".parquet": _parquet}
    known = f"expected a file that ends in {', '.join(readers)}"
    require(path.suffix in readers, f"{known}, got {path.name}", hint="np.savez(path, losses=losses, member=member)")
    try:
        return readers[path.suffix](path)
    except OSError as error:
        raise UserError(f"cannot read the loss table {path}: {error.strerror or error}") from error
    except BROKEN as error:
        raise UserError(f"cannot read the loss table {path}: {error}", hint=HINTS[path.suffix]) from error


def _npz(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays}


def _csv(path: Path) -> dict[str, np.ndarray]:
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = [row for row in csv.reader(file, strict=True) if row] or [[]]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(head):
            raise ValueError(f"row {number} has {len(row)} values, the header names {len(head)} columns")
    columns = zip(*rows, strict=True)
    return {name.strip(): _column(values) for name, values in zip(head, columns, strict=True)}


def _column(values: tuple[str, ...]) -> np.ndarray:
    words = np.array([value.strip().lower() for value in values])
    if np.isin(words, ("true", "false")).all():
        return words == "true"
    try:
        return words.astype(np.float64)
    except ValueError:
        return np.array([value.strip() for value in values])


def _parquet(path: Path) -> dict[str, np.ndarray]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(f"reading {path.name} needs pyarrow", hint="pip install 'quantmis[parquet]'") from error
    table = parquet.ParquetFile(path).read()
    return {name: np.asarray(table.column(name).to_pylist()) for name in table.column_names}
