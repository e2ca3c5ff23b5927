"""The first rows of a file of texts as they are: what `quantmis init` looks at."""

import csv
import itertools
import json
from collections.abc import Iterator, Mapping
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from quantmis.data.delimited import fields_of
from quantmis.data.text_files import LARGEST
from quantmis.errors import UserError
from quantmis.files import opened

SOME = 1000
"""Rows that say which columns there are and what they hold."""


def head(path: Path, key: str = "data.texts") -> list[Mapping[str, Any]]:
    """Return the first rows of a `.jsonl`, `.csv` or `.parquet` file; none of others, or of one that is broken."""
    readers = {".jsonl": _json_rows, ".csv": _csv_rows, ".parquet": _parquet_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        return []
    try:
        return [row for row in itertools.islice(reader(path, key), SOME) if isinstance(row, Mapping)]
    except (ValueError, RecursionError, UserError, csv.Error, ImportError):
        return []  # the audit says what is wrong with it


def _json_rows(path: Path, key: str) -> Iterator[Any]:
    with opened(path, key) as file:
        while line := file.readline(LARGEST):
            if line.strip():
                yield json.loads(line)


def _csv_rows(path: Path, key: str) -> Iterator[Any]:
    with opened(path, key) as raw, TextIOWrapper(raw, "utf-8-sig", newline="") as file, fields_of(2 * LARGEST):
        yield from csv.DictReader(file)


def _parquet_rows(path: Path, key: str) -> Iterator[Any]:
    import pyarrow
    from pyarrow import parquet

    try:
        with opened(path, key) as stream, parquet.ParquetFile(stream) as file:
            for batch in file.iter_batches(batch_size=SOME):
                yield from batch.to_pylist()
    except pyarrow.ArrowException as error:
        raise UserError(f"{key}: {path.name} is no Parquet file") from error
