"""The samples of an audit: inputs and targets, checked once, here, before anything is trained on them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int

from quantmis.data.overlap import Copies, copies
from quantmis.data.several import Layout, is_several, packed
from quantmis.data.tokens import padded
from quantmis.errors import UserError, require
from quantmis.registry import suggestion

FEWEST = 20
NAMES = "each names one row of x; leave ids out, and samples are called by their row numbers"
GROUPS = "each says of one row of x to whom it belongs, such as a patient; leave groups out where nobody has several"


@dataclass(frozen=True, eq=False)
class Samples:
    """Hold inputs `x` [samples, ...] and targets `y` [samples] or [samples, outputs].

    Anything that `numpy.asarray` takes is taken, CPU tensors included; doubles become float32, which is what models
    compute in. Several inputs are a dictionary of arrays, by the names under which the model's forward takes them, or a
    tuple, in its order; `x` then holds a row of all their numbers for each sample, and `inputs` what was given. Inputs
    of different lengths are sequences of token numbers, and are filled up with -1. `ids` name the
    samples in the report, their row numbers where there are none. `notes` say how inputs and targets were made, a
    sentence each. `groups` [samples] name the patient, document or scaffold that each sample belongs to: those of one
    group are in one training set, or in none. `class_names` are what the classes 0, 1, ... are called, where known.
    Raises `UserError` for fewer than 20 samples, different numbers of them, NaN or infinity, and text.

    >>> digits = Samples(np.zeros((30, 64)), np.arange(30) % 10)
    >>> len(digits), digits.x.dtype, digits.take(np.arange(25)).y.shape
    (30, dtype('float32'), (25,))
    >>> Samples([[5], [7, 8]] * 10, np.arange(20) % 2).x[:2].tolist()
    [[5, -1], [7, 8]]
    """

    x: np.ndarray
    y: np.ndarray
    ids: np.ndarray | None
    notes: tuple[str, ...]
    groups: np.ndarray | None
    class_names: tuple[str, ...]
    layout: Layout | None

    def __init__(
        self,
        x: Any,
        y: Any,
        ids: Any = None,
        notes: Sequence[str] = (),
        groups: Any = None,
        class_names: Sequence[str] = (),
    ):
        object.__setattr__(self, "y", _numeric("y", y))
        array, layout = _several(x) if is_several(x, len(self.y)) else (_numeric("x", x), None)
        object.__setattr__(self, "x", array)
        object.__setattr__(self, "layout", layout)
        object.__setattr__(self, "ids", None if ids is None else _names(ids, len(self.x)))
        object.__setattr__(self, "notes", tuple(notes))
        object.__setattr__(self, "class_names", tuple(map(str, class_names)))
        object.__setattr__(self, "groups", None if groups is None else _words("groups", groups, len(self.x)))
        lengths = f"x has {len(self.x)} samples, y has {len(self.y)}"
        require(len(self.x) == len(self.y), lengths, hint="row i of y is the target of row i of x")
        require(
            len(self.x) >= FEWEST,
            f"expected at least {FEWEST} samples, got {len(self.x)}",
            hint="half of them train a model and the other half tests it: fewer say nothing about membership",
        )

    def __len__(self) -> int:
        return len(self.x)

    @property
    def inputs(self) -> Any:
        """The inputs as they were given: `x`, or a dictionary or a tuple of arrays [samples, ...]."""
        if self.layout is None:
            return self.x
        arrays = self.layout.arrays(self.x)
        return arrays if self.layout.is_named else tuple(arrays.values())

    def take(self, index: np.ndarray) -> "Samples":
        """Return the samples at `index`, where one may stand several times."""
        subset = Samples(self.x[index], self.y[index], notes=self.notes, class_names=self.class_names)
        object.__setattr__(subset, "layout", self.layout)
        object.__setattr__(subset, "ids", None if self.ids is None else self.ids[index])
        object.__setattr__(subset, "groups", None if self.groups is None else self.groups[index])
        return subset

    def joined(self, x: np.ndarray, y: np.ndarray, names: Sequence[str]) -> "Samples":
        """Return these samples with others behind them, whose `names` are their ids and each of which is a group."""
        ids = None if self.ids is None else [*self.ids, *names]
        groups = None if self.groups is None else [*self.groups, *names]
        every = Samples(
            np.concatenate([self.x, x]), np.concatenate([self.y, y]), ids, self.notes, groups, self.class_names
        )
        object.__setattr__(every, "layout", self.layout)
        return every

    def replaced(self, x: np.ndarray, y: np.ndarray, notes: Sequence[str] | None = None) -> "Samples":
        """Return other inputs and targets of the same samples, with their ids and groups."""
        others = Samples(x, y, self.ids, self.notes if notes is None else notes, self.groups, self.class_names)
        object.__setattr__(others, "layout", self.layout if others.x.shape == self.x.shape else None)
        return others

    def ungrouped(self) -> "Samples":
        """Return the same samples, each by itself."""
        alone = self.replaced(self.x, self.y)
        object.__setattr__(alone, "groups", None)
        return alone

    def below(self, folder: str) -> Int[np.ndarray, " rows"]:
        """Return the rows whose ids, which are paths, lie in a folder; none where there are no ids."""
        names = [] if self.ids is None else self.ids.tolist()
        return np.array([row for row, name in enumerate(names) if name.startswith(f"{folder}/")], dtype=np.int64)

    @cached_property
    def copies(self) -> Copies:
        """Which samples are the same thing, by their bytes or but for rounding, and how many of them there are."""
        return copies(self.x, self.y)

    @property
    def columns_apart(self) -> float | None:
        """How many times the standard deviation of a typical column of `x` the largest is; None without columns."""
        if self.x.ndim != 2 or self.x.dtype.kind != "f" or self.layout is not None:
            return None
        spreads = self.x.std(axis=0, dtype=np.float64)
        spreads = spreads[spreads > 0]
        return float(spreads.max() / np.median(spreads)) if len(spreads) else None

    def rows_of(self, source: str) -> Int[np.ndarray, " rows"]:
        """Return the rows of the texts of one file, by its name; `UserError` where there are none."""
        names = [] if self.ids is None else [name.rpartition(":")[0] for name in self.ids.tolist()]
        rows = np.array([row for row, name in enumerate(names) if name == source], dtype=np.int64)
        require(len(rows), f"no sample comes from {source!r}", hint=suggestion(source, dict.fromkeys(names)))
        return rows

    @property
    def names(self) -> np.ndarray:
        """What the report calls each sample, [samples]: its id, or its row number counted from 0."""
        return np.arange(len(self.x)).astype(str) if self.ids is None else self.ids

    def digest(self) -> str:
        """Return the SHA-256 of the types, shapes and bytes of inputs, targets and groups, in hexadecimal."""
        digest = hashlib.sha256()
        for array in (self.x, self.y, *([] if self.groups is None else [self.groups])):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        if self.layout is not None:
            digest.update(repr(self.layout).encode())
        return digest.hexdigest()


def _several(x: Any) -> tuple[np.ndarray, Layout]:
    """Return several inputs as rows of numbers, and how these are divided."""
    is_named = isinstance(x, Mapping)
    named = x if is_named else {f"input {place}": each for place, each in enumerate(x)}
    arrays = {name: _numeric(f"x[{name!r}]", each) for name, each in named.items()}
    lengths = {name: len(each) for name, each in arrays.items()}
    hint = "row i of every array belongs to sample i"
    require(len(set(lengths.values())) == 1, f"x: its arrays have different numbers of samples, {lengths}", hint=hint)
    words = all(isinstance(name, str) for name in named)
    require(words, "x: its arrays are named by words", hint='{"text": a, "image": b}, as in forward(self, text, image)')
    return packed(arrays, is_named)


def _numeric(name: str, values: Any) -> np.ndarray:
    array = _array(name, values)
    require(
        array.dtype.kind in "biuf",
        f"{name}: expected numbers, got {array.dtype}",
        hint="turn text and categories into numbers first",
    )
    require(array.ndim >= 1, f"{name}: expected one row per sample, got a single number")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as such
        array = array.astype(np.float32 if array.dtype.kind == "f" else array.dtype.newbyteorder("="))
    _require_finite(name, array)
    return array


def _array(name: str, values: Any) -> np.ndarray:
    try:
        return padded(values, name) if _differ(values) else np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        hint = "rows of one length; a tensor detached and on the CPU"
        raise UserError(f"{name}: cannot become an array: {error}", hint=hint) from error


def _differ(values: Any) -> bool:
    """Say whether `values` are sequences of different lengths."""
    rows = isinstance(values, list | tuple) and all(isinstance(row, list | tuple | np.ndarray) for row in values)
    return rows and len({len(row) for row in values}) > 1


def _names(ids: Any, samples: int) -> np.ndarray:
    array = _words("ids", ids, samples)
    names, counts = np.unique(array, return_counts=True)
    twice = names[counts > 1]
    require(len(twice) == 0, f"ids: {len(twice)} stand for several samples, the first is {twice[:1]}", hint=NAMES)
    return array


def _words(name: str, values: Any, samples: int) -> np.ndarray:
    """Return what names samples, or the groups that they are in, as text."""
    array = np.asarray(values)
    message = f"{name}: expected one per sample, {samples}, got shape {list(array.shape)}"
    require(array.shape == (samples,), message, hint=GROUPS if name == "groups" else NAMES)
    if array.dtype.kind == "O" and all(isinstance(each, str) for each in array.tolist()):
        array = array.astype(str)
    require(array.dtype.kind in "biuUS", f"{name}: expected text or whole numbers, got {array.dtype}")
    try:
        words = array.astype(str)
        "".join(words.tolist()).encode()
    except UnicodeError as error:
        raise UserError(f"{name}: some are no Unicode text", hint="write them as UTF-8") from error
    empty = np.flatnonzero(words == "")
    require(len(empty) == 0, f"{name}: {len(empty)} are empty, the first at row {empty[:1].tolist()}")
    return words


def _require_finite(name: str, array: np.ndarray) -> None:
    rows = np.flatnonzero(~np.isfinite(array).all(axis=tuple(range(1, array.ndim))))
    require(
        len(rows) == 0,
        f"{name}: {len(rows)} samples hold NaN or infinity, the first at row {rows[0] if len(rows) else None}",
        hint="drop or impute them; a float that float32 cannot hold counts as infinite",
    )
