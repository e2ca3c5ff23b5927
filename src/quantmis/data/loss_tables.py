"""Loss tables that another framework made: read from a file, a data frame or arrays, and brought into rows and columns.

Either whole arrays, `losses` and `member` [models, samples] (one row may be [samples]), or *long* columns with an entry
each: `loss`, `member`, and `model` and `sample`, which name the row and the column that an entry stands in. In a CSV
file these names are text, whatever they look like: "0012" is not 12.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quantmis.data.archives import read_archive
from quantmis.data.delimited import read_rows
from quantmis.data.numbers import numbers_or_text
from quantmis.data.table import parquet_of
from quantmis.errors import UserError, require
from quantmis.registry import suggestion

KEY = "the loss table"
"""What messages about files begin with."""

LONG = ("model", "sample", "loss", "member", "signal", "entropy", "label", "groups")
WHOLE = ("losses", "member", "signal", "entropy", "label", "groups")
OF_SAMPLES = ("label", "groups")
"""What is the same for all models."""
NAMES = ("model", "sample")
"""Columns that name rows and columns of the table."""

NAMED, EXTRACTED = "named/", "extracted/"
"""What the names of further signals begin with, as `named/min_k`; and those of canaries that a model says by heart."""

SAVED = (
    *("per_sample_utility", "earlier", "is_audited", "is_held_out", "weight", "repeats", "metric"),
    *("fingerprint", "bits_per_weight", "sparsity", "weights", "untouched", "perturbed", "is_fitted"),
)
"""What else an audit saves in its tables."""

PLURAL = {"loss": "losses"}
IDENTIFIERS = frozenset({"id", "ids", "sample_id", "sampleid", "samples", "name", "names", "index", "row", "key"})
"""What others call the column `sample`."""


def read_columns(source: Any) -> dict[str, np.ndarray]:
    """Return the columns of a mapping, of a data frame, or of an `.npz`, `.csv` or `.parquet` file, by name.

    Nothing in a file is executed. Raises `UserError` for other sources, for files that cannot be read, and for two
    columns of one name.
    """
    if isinstance(source, str | Path):
        return _file(Path(source))
    if any(name is not None for name in getattr(getattr(source, "index", None), "names", None) or ()):
        source = source.reset_index()  # an index of pandas that has a name is a column like others
    names = _names_in(source)
    _require_once([str(name) for name in names])
    return {str(name): np.asarray(source[name]) for name in names}


def _names_in(source: Any) -> list[Any]:
    """Return the names of a mapping, or of the columns of a data frame of pandas or polars or a table of Arrow."""
    if isinstance(source, Mapping):
        return list(source)
    names: Any = getattr(source, "column_names", getattr(source, "columns", None))
    message = f"a loss table cannot be a {type(source).__name__}"
    if names is None or callable(names):
        raise UserError(message, hint="a path, a dict of arrays, or a data frame")
    return [*names]


def arrays_of(
    source: Any,
    needed: tuple[str, ...] = ("losses", "member"),
    ids: np.ndarray | None = None,
    samples: int | None = None,
) -> dict[str, Any]:
    """Return the arrays of a loss table [models, samples] by the names of `Evidence`; `label`, `groups` are [samples].

    Arrays `named/min_k` and the like, as audits save them, are further signals. Where `ids` name the samples of an
    audit, or these are so many `samples`, the columns are put into their order, by the ids or row numbers in the long
    column, or array, `sample`; otherwise samples are in the natural order of their names, "p2" before "p10".

    Raises `UserError` where one `needed` is missing, an entry is missing or there twice, a sample is in the table and
    not in the audit, or a column that is not known may be the one that names the samples.
    """
    columns = read_columns(source)
    _require_known(columns, aligned=samples is not None)
    if "sample" in columns and samples is not None:
        columns = {**columns, "sample": _rows_of(columns["sample"], ids, samples)}
    tables = _pivoted(columns) if "loss" in columns else _whole(columns)
    missing = next((name for name in needed if name not in tables), None)
    message = f"the loss table has no {missing}, only {', '.join(columns) or 'nothing'}"
    require(missing is None, message, hint=lambda: suggestion(str(missing), columns))
    of_samples = {"label": _labels, "groups": _groups}
    typed = {
        name: of_samples[name](value) if name in OF_SAMPLES else _typed(name, value) for name, value in tables.items()
    }
    signals = {name.removeprefix(NAMED): _typed(name, columns[name]) for name in columns if name.startswith(NAMED)}
    return typed | ({"named": signals} if signals else {})


def _require_known(columns: Mapping[str, np.ndarray], aligned: bool) -> None:
    """Raise `UserError` for a column that is one of ours but for its writing, or that may name the samples.

    Where losses are `aligned` with the samples of an audit, that is any column that is not known.
    """
    names = {*(LONG if "loss" in columns else (*WHOLE, *SAVED, "sample"))}
    strange = {
        name: name.strip().casefold()
        for name in columns
        if name not in names and not name.startswith((NAMED, EXTRACTED))
    }
    for name, meant in strange.items():
        other = meant in names and meant not in columns
        require(not other, f"the loss table has a column {name!r}", hint=f"is it {meant}? Then call it so")
    if "sample" in columns:
        return
    suspects = [name for name, meant in strange.items() if meant in IDENTIFIERS or (aligned and columns[name].ndim)]
    require(
        not suspects,
        f"the loss table has no column sample, but {suspects[0] if suspects else ''!r}, which may name the samples",
        hint="call the column of ids sample; without one, losses are in the order of the data: take the others out",
    )


def _whole(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return whole arrays; where `sample` holds the row of each column, in the order of the rows."""
    tables = {name: columns[name] for name in WHOLE if name in columns}
    if "sample" not in columns or columns["sample"].dtype.kind != "i":
        return tables
    order = np.argsort(columns["sample"])
    for name, value in tables.items():
        width = value.shape[-1] if value.ndim else 0
        require(width == len(order), f"{name}: expected an entry for each of {len(order)} in sample, got {width}")
    return {name: value[..., order] for name, value in tables.items()}


def _labels(value: np.ndarray) -> np.ndarray:
    """Return classes as whole numbers: words are numbered in their alphabetical order."""
    require(value.ndim == 1, f"label: expected a class for each sample, got shape {value.shape}")
    if value.dtype.kind in "USO":
        return np.unique(value.astype(str), return_inverse=True)[1]
    whole = value.dtype.kind in "biu" or (value.dtype.kind == "f" and bool((np.abs(value) < 2**53).all()))
    good = whole and bool((value == np.round(value)).all())
    require(good, f"label: expected classes, got {value.dtype}", hint="whole numbers or words")
    return value.astype(np.int64)


def _groups(value: np.ndarray) -> np.ndarray:
    """Return the groups of samples as numbers."""
    require(value.ndim == 1, f"groups: expected the group of each sample, got shape {value.shape}")
    plain = value.dtype.kind in "biuSU" or (
        value.dtype.kind in "fO" and not any(each != each for each in value.tolist())
    )
    require(plain, f"groups: expected text or whole numbers, got {value.dtype}")
    return np.unique(value.astype(str), return_inverse=True)[1]


def _typed(name: str, value: np.ndarray) -> np.ndarray:
    rows = np.atleast_2d(value)
    if name != "member":
        require(rows.dtype.kind in "biuf", f"{name}: expected numbers, got {rows.dtype}")
        return rows.astype(np.float64)
    is_binary = rows.dtype.kind in "biuf" and bool(np.isin(rows, (0, 1)).all())
    require(is_binary, f"member: expected true and false, or 1 and 0, got {rows.dtype}")
    return rows.astype(bool)


def _pivoted(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    _require_columns(columns)
    entries = len(columns["loss"])
    models, row = _in_order(columns.get("model", np.zeros(entries)))
    samples, column = _in_order(columns.get("sample", np.arange(entries)))
    place = row * len(samples) + column
    require(
        entries == len(models) * len(samples) and len(np.unique(place)) == entries,
        f"{entries} entries do not fill a table of {len(models)} models and {len(samples)} samples, each once",
        hint="columns model and sample name the place of each entry; every model needs a loss at every sample",
    )
    order, whole = np.argsort(place), (len(models), len(samples))
    tables = {PLURAL.get(name, name): columns[name][order].reshape(whole) for name in LONG[2:] if name in columns}
    for name in (each for each in OF_SAMPLES if each in tables):
        same = bool((tables[name] == tables[name][0]).all())
        require(same, f"{name}: the models do not agree on {'the class' if name == 'label' else 'that'} of each sample")
        tables[name] = tables[name][0]
    return tables


def _require_columns(columns: Mapping[str, np.ndarray]) -> None:
    shape = columns["loss"].shape
    for name in (each for each in LONG if each in columns):
        column = columns[name]
        one = column.ndim == 1 and column.shape == shape
        require(one, f"{name}: expected a column with an entry for each loss, got {column.shape} for {shape}")
        plain = column.dtype.kind in "biufSU" or all(isinstance(each, str) for each in column.tolist())
        require(plain, f"{name}: expected numbers or text, got {column.dtype}")
    require(len(columns["loss"]) > 0, "the loss table has no entries")


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
    require(names.ndim == 1, f"sample: expected a name for each entry, got shape {names.shape}")
    spellings = [_spelled(name, ids is None) for name in names.tolist()]
    where = {str(name): row for row, name in enumerate(range(samples) if ids is None else ids.tolist())}
    strange = list(dict.fromkeys(name for name in spellings if name not in where))
    message = f"the column sample names {len(strange)} samples that are not in the data, the first is {strange[:1]}"
    by_rows = "without [data] id they are row numbers from 0: name the column of ids there"
    hint = by_rows if ids is None else f"they are the ids that [data] id names, such as {', '.join(list(where)[:3])}"
    require(not strange, message, hint=hint)
    rows = np.array([where[name] for name in spellings], dtype=np.int64)
    missing = sorted(set(range(samples)) - set(rows.tolist()))
    require(
        not missing,
        f"the loss table has no loss of {len(missing)} samples, the first is row {missing[:1]} of the data",
        hint="a loss for every sample of the audit, members, non-members and others",
    )
    return rows


def _spelled(name: Any, is_row: bool) -> str:
    """Write a name as text; the number of a row may be written 3.0."""
    if isinstance(name, float) and name.is_integer():
        return str(int(name))
    return str(name).removesuffix(".0") if is_row else str(name)


def _require_once(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    require(not twice, f"the loss table has two columns called {twice[0] if twice else ''!r}", hint="which one is it?")


def _file(path: Path) -> dict[str, np.ndarray]:
    readers = {".npz": _npz, ".csv": _csv, ".parquet": _parquet}
    message = f"expected a file that ends in {', '.join(readers)}"
    require(path.suffix in readers, f"{message}, got {path.name}", hint="np.savez(path, losses=losses, member=member)")
    return readers[path.suffix](path)


def _npz(path: Path) -> dict[str, np.ndarray]:
    return read_archive(path, KEY)


def _csv(path: Path) -> dict[str, np.ndarray]:
    head, columns = read_rows(path, KEY, ",")
    names = [name.strip() for name in head]
    _require_once(names)
    return {name: _column(name, values) for name, values in zip(names, columns, strict=True)}


def _column(name: str, values: list[str]) -> np.ndarray:
    if name in NAMES:
        return np.array(values)
    words = [value.lower() for value in values]
    if words and set(words) <= {"true", "false"}:
        return np.array(words) == "true"
    return numbers_or_text(values)


def _parquet(path: Path) -> dict[str, np.ndarray]:
    _, table = parquet_of(path, KEY)
    _require_once(table.column_names)
    return {name: np.asarray(table.column(name).to_pylist()) for name in table.column_names}
