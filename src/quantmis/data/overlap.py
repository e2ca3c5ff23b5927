"""Samples that are in two sets at once: the same bytes, the same numbers but for rounding, or alike to the eye.

A sample that is both member and non-member makes every attack on it a coin, and hides what a model gives away; a
sample that is in a training set twice stays in the other half. So all are looked for before anything is measured. What
is alike need not be the same thing saved twice, and so is told apart from what is.
"""

import hashlib
from typing import NamedTuple

import numpy as np
import scipy
from jaxtyping import Float, Int

from quantmis import seeds
from quantmis.data.near_duplicates import images_alike, sequences_alike

ROUNDED = 1e-3
"""The difference of numbers that are equal but for rounding, as a share of the spread of their feature."""

PROJECTIONS = 8
SOME, MOST_FEATURES = 1000, 4096
"""Rows and features that say how numbers are spread."""

MANY_VALUES, FEWEST_MEASURED = 50, 3
"""Different values of a feature that is measured, and how many such features make a row unlike all others."""

LOW, BETWEEN_QUANTILES = 0.05, 3.29
"""A quantile, and its distance from that at the other end of a normal distribution, in standard deviations."""

REACH = 1.01 * ROUNDED
"""How far projections of what is equal but for rounding may be apart, for each square root of a feature."""

TINY = 1e-6
NEIGHBOURS = 16
"""Rows near a row that it is compared with: copies are linked by those nearest to each."""

FLOOR = 0.1
"""A feature of less than this share of the usual spread is not blown up to variance 1."""


class Overlap(NamedTuple):
    """Hold pairs (row in the first set, row in the second): of equal bytes, of equal numbers but for rounding, alike.

    Each row of the first set is in one of the three at most.
    """

    equal: Int[np.ndarray, "pairs 2"]
    near: Int[np.ndarray, "pairs 2"]
    alike: Int[np.ndarray, "pairs 2"]


def overlap(first: np.ndarray, second: np.ndarray) -> Overlap:
    """Return which rows of `first` [samples, ...] are in `second` [others, ...] too, each with one partner.

    Numbers are equal but for rounding where no feature differs by more than a thousandth of its spread. Images
    [samples, channels, height, width] are alike where their coarse structure and their pixels correlate, as those of a
    picture saved again do; sequences of tokens where most of their runs of three are the same. Other whole numbers are
    compared by their bytes alone.

    >>> x = np.random.default_rng(0).normal(size=(50, 4))
    >>> found = overlap(x[:30], np.concatenate([x[29:30], x[3:4] + 1e-5, x[30:]]))
    >>> found.equal.tolist(), found.near.tolist(), found.alike.tolist()
    ([[29, 0]], [[3, 1]], [])
    """
    equal = _equal(first, second)
    near = _near(_flat(first), _flat(second)) if first.dtype.kind == "f" else equal[:0]
    near = _without(near, equal)
    return Overlap(equal, near, _without(_alike(first, second), np.concatenate([equal, near])))


class Copies(NamedTuple):
    """Hold a number for each sample, the same for those that are one thing, and how many repeat an earlier one.

    `equal`: by their bytes; `near`: of the others, those equal but for rounding.
    """

    codes: Int[np.ndarray, " samples"]
    equal: int
    near: int

    @property
    def number(self) -> int:
        """The number of samples that repeat an earlier one."""
        return self.equal + self.near


def copies(x: np.ndarray, y: np.ndarray) -> Copies:
    """Return which samples, inputs and targets, are in one set several times.

    Numbers are equal but for rounding as in `overlap`, with the same targets; that is only asked where at least three
    features hold many different values, since few or coarse ones are near each other by chance.

    >>> x = np.random.default_rng(0).normal(size=(50, 4))
    >>> found = copies(np.concatenate([x, x[:2], x[5:6] + 1e-6]), np.zeros(53))
    >>> found.equal, found.near, found.codes[[0, 50, 1, 51, 5, 52]].tolist()
    (2, 1, [0, 0, 1, 1, 5, 5])
    """
    first, code = _first_of_each(x, y)
    near = _near_within(x[first], y[first])
    linked = scipy.sparse.coo_array(
        (np.ones(len(near), dtype=bool), (near[:, 0], near[:, 1])), shape=(len(first), len(first))
    )
    number, component = scipy.sparse.csgraph.connected_components(linked, directed=False)
    return Copies(component[code].astype(np.int64), len(x) - len(first), len(first) - int(number))


def _first_of_each(x: np.ndarray, y: np.ndarray) -> tuple[Int[np.ndarray, " different"], Int[np.ndarray, " samples"]]:
    """Return the first row of each different sample, and for each sample which of these it is."""
    where, rows, code = dict[bytes, int](), list[int](), np.empty(len(x), dtype=np.int64)
    for row, (one, other) in enumerate(zip(np.ascontiguousarray(x), np.ascontiguousarray(y), strict=True)):
        key = hashlib.sha256(one.tobytes() + other.tobytes()).digest()  # not the bytes: they are all the data again
        code[row] = where.setdefault(key, len(where))
        if code[row] == len(rows):
            rows.append(row)
    return np.array(rows), code


def _near_within(x: np.ndarray, y: np.ndarray) -> Int[np.ndarray, "pairs 2"]:
    """Return pairs of rows that are equal but for rounding; of many in one place, enough to link them."""
    if x.dtype.kind != "f" or not _is_measured(x.reshape(len(x), -1)):
        return np.empty((0, 2), dtype=int)
    values = np.concatenate([_scaled(x), _scaled(y)], axis=1)
    width = values.shape[1]
    draw = seeds.generator(0, "overlap").normal(size=(width, min(PROJECTIONS, width)))
    places = values @ np.linalg.qr(draw)[0].astype(np.float32)
    most = min(NEIGHBOURS, len(places)) + 1
    partners = np.asarray(
        scipy.spatial.KDTree(places).query(places, k=most, distance_upper_bound=REACH * np.sqrt(width))[1]
    )
    row, place = np.nonzero((partners < len(places)) & (partners != np.arange(len(places))[:, None]))
    pairs = np.stack([row, partners[row, place]], axis=1)
    close = [bool(np.abs(values[one] - values[other]).max() <= ROUNDED) for one, other in pairs]
    return pairs[np.array(close, dtype=bool)]


def _is_measured(x: Float[np.ndarray, "n d"]) -> bool:
    """Say whether at least three features hold many different values."""
    usual = _some(x)
    columns = usual[:, :: 1 + usual.shape[1] // MOST_FEATURES].T
    many = [len(np.unique(column)) >= min(MANY_VALUES, len(usual) / 2) for column in columns]
    return sum(many) >= FEWEST_MEASURED


def _scaled(values: np.ndarray) -> Float[np.ndarray, "n d"]:
    """Return numbers less their median over their spread, which no outlier makes; whole numbers as they are.

    Where a feature is usually the same, any difference of it is a large one.
    """
    flat = values.reshape(len(values), -1).astype(np.float32)
    if values.dtype.kind != "f":
        return flat
    usual = _some(flat)
    low, high = np.quantile(usual, LOW, axis=0, method="higher"), np.quantile(usual, 1 - LOW, axis=0, method="lower")
    middle = np.median(usual, axis=0)
    deviation, between = usual.std(0, dtype=np.float64), (high - low) / BETWEEN_QUANTILES
    spread = np.where(between > 0, np.minimum(deviation, between), deviation)
    return ((flat - middle) / np.where(spread > 0, spread, TINY)).astype(np.float32)


def _some(values: np.ndarray) -> np.ndarray:
    return values[:: 1 + len(values) // SOME]


def _without(pairs: Int[np.ndarray, "pairs 2"], others: Int[np.ndarray, "others 2"]) -> Int[np.ndarray, "left 2"]:
    return pairs[~np.isin(pairs[:, 0], others[:, 0])]


def _alike(first: np.ndarray, second: np.ndarray) -> Int[np.ndarray, "pairs 2"]:
    if first.ndim == 4:
        return images_alike(first, second)
    return sequences_alike(first, second) if first.dtype.kind in "iu" else np.empty((0, 2), dtype=int)


def _equal(first: np.ndarray, second: np.ndarray) -> Int[np.ndarray, "pairs 2"]:
    where = {row.tobytes(): index for index, row in enumerate(np.ascontiguousarray(second))}
    keys = (row.tobytes() for row in np.ascontiguousarray(first))
    pairs = [(index, where[key]) for index, key in enumerate(keys) if key in where]
    return np.array(pairs, dtype=int).reshape(-1, 2)


def _near(first: Float[np.ndarray, "n d"], second: Float[np.ndarray, "m d"]) -> Int[np.ndarray, "pairs 2"]:
    """Search near the projections on a few directions, which are never farther apart than the samples themselves."""
    spread = np.sqrt((_variance(first) + _variance(second)) / 2)
    scale = np.maximum(spread, FLOOR * np.sqrt((spread**2).mean()))
    if not scale.any():
        return np.empty((0, 2), dtype=int)
    first, second = first / scale, second / scale
    width = first.shape[1]
    draw = seeds.generator(0, "overlap").normal(size=(width, min(PROJECTIONS, width)))
    directions = np.linalg.qr(draw)[0]
    tree = scipy.spatial.KDTree(second @ directions)
    candidates = tree.query_ball_point(first @ directions, ROUNDED * np.sqrt(width))
    pairs = [
        (row, partner)
        for row, partners in enumerate(candidates)
        for partner in sorted(partners)
        if np.abs(first[row] - second[partner]).max() <= ROUNDED
    ]
    _, once = np.unique([row for row, _ in pairs], return_index=True)
    return np.array(pairs, dtype=int).reshape(-1, 2)[once.astype(int)]


def _variance(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " d"]:
    return x.var(0)


def _flat(x: np.ndarray) -> Float[np.ndarray, "n d"]:
    return x.reshape(len(x), -1).astype(np.float64)
