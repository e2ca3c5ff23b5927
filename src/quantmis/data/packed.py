"""Rows of tokens as training saw them, several documents packed into each: a document is one sample.

A row has `input_ids`. Where its documents begin is said by `seq_lengths`, how long each is, or by `position_ids`, which
count from 0 in each, as TRL writes them; where neither is there, a document ends with the token of the end. `labels` of
-100 mark what is context, and an `attention_mask` of 0 what is filling. A row that is cut in the middle of a document
says nothing of the other part: each part is a sample of its own.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from quantmis.data.archives import names_in, read_archive, read_array
from quantmis.data.tokens import as_context
from quantmis.errors import UserError, require
from quantmis.registry import suggestion

IDS, POSITIONS, LENGTHS, MASK, LABELS = "input_ids", "position_ids", "seq_lengths", "attention_mask", "labels"
BESIDE = (POSITIONS, LENGTHS, MASK, LABELS)
"""What may stand beside the tokens of a row."""

PACKED, DOCUMENTS = "rows of packed tokens", "documents of packed tokens"
"""What a file holds, and what they are once they are apart."""

ARRAYS = (".npy", ".npz")
"""Files that hold tokens and nothing else."""

IGNORED = -100
"""The label of a token that training did not score."""

Row = Int[np.ndarray, " tokens"]


def is_packed(path: Path) -> bool:
    """Say whether a file holds arrays of tokens, whatever is in it."""
    return path.suffix.lower() in ARRAYS


def rows_of_arrays(path: Path, key: str) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of an array [rows, tokens] of a `.npy` file, or of those of a `.npz` file, by their names."""
    if path.suffix.lower() == ".npy":
        arrays = {IDS: read_array(path, key)}
    else:
        arrays = read_archive(path, key, [IDS, *BESIDE])
        require(
            IDS in arrays,
            f"{key}: {path.name} holds {', '.join(names_in(path, key))}, not {IDS!r}",
            hint=lambda: suggestion(IDS, names_in(path, key)),
        )
    for name, array in arrays.items():
        good = array.ndim == 2 and array.dtype.kind in "iub" and len(array) == len(arrays[IDS])
        shape = f"{array.dtype} of shape {list(array.shape)}"
        require(good, f"{key}: {name} of {path.name} is {shape}", hint="whole numbers, [rows, tokens], in each array")
    for number in range(len(arrays[IDS])):
        yield {name: array[number] for name, array in arrays.items()}


def documents(row: Mapping[str, Any], end: int | None, where: str) -> list[tuple[int, ...]]:
    """Return the documents that a row holds, the tokens of each in order, those of context as such.

    `end`: the token of the end, which divides them where nothing else does. `where` names the row in errors. Raises
    `UserError` for what are no tokens, and for boundaries that do not fit them.
    """
    tokens = _whole(row.get(IDS), IDS, where)
    require(len(tokens) > 0 and int(tokens.min()) >= 0, f"{where}: {IDS} holds no tokens, or one below 0")
    starts = _starts(row, tokens, end, where)
    scored = np.ones(len(tokens), dtype=bool)
    if row.get(LABELS) is not None:
        scored = _beside(row, LABELS, tokens, where) != IGNORED
    read = np.where(scored, tokens, as_context(tokens))
    real = np.ones(len(tokens), dtype=bool)
    if row.get(MASK) is not None:
        real = _beside(row, MASK, tokens, where) != 0
    parts = zip(np.split(read, starts), np.split(real, starts), strict=True)
    return [tuple(part[kept].tolist()) for part, kept in parts if kept.any()]


def _starts(row: Mapping[str, Any], tokens: Row, end: int | None, where: str) -> np.ndarray:
    """Return where documents begin in a row, but for the first."""
    if row.get(LENGTHS) is not None:
        lengths = _whole(row[LENGTHS], LENGTHS, where)
        lengths = lengths[lengths != 0]
        good = len(lengths) > 0 and int(lengths.min()) > 0 and int(lengths.sum()) == len(tokens)
        require(good, f"{where}: {LENGTHS} add up to {int(lengths.sum())}, and there are {len(tokens)} tokens")
        return np.cumsum(lengths)[:-1]
    if row.get(POSITIONS) is not None:
        positions = _beside(row, POSITIONS, tokens, where)
        return np.flatnonzero(positions[1:] != positions[:-1] + 1) + 1
    return np.flatnonzero(tokens[:-1] == end) + 1 if end is not None else np.empty(0, dtype=np.int64)


def _beside(row: Mapping[str, Any], name: str, tokens: Row, where: str) -> Row:
    values = _whole(row[name], name, where)
    require(len(values) == len(tokens), f"{where}: {len(values)} {name} for {len(tokens)} tokens")
    return values


def _whole(values: Any, name: str, where: str) -> Row:
    array = np.asarray(values if values is not None else [])
    if array.ndim != 1 or (len(array) and array.dtype.kind not in "iub"):
        raise UserError(f"{where}: {name} is no list of whole numbers", hint="a list of the numbers of tokens")
    return array.astype(np.int64)
