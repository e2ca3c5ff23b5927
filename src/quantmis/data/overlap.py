"""Samples that are in two sets at once: the same bytes, the same numbers but for rounding, or alike to the eye.

A sample that is both member and non-member makes every attack on it a coin, and hides what a model gives away; a
sample that is in a training set twice stays in the other half. So all are looked for before anything is measured. What
is alike need not be the same thing saved twice, and so is told apart from what is.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from quantmis import seeds
from quantmis.data.near_duplicates import images_alike, sequences_alike

ROUNDED = 1e-3
"""The difference of numbers that are equal but for rounding, as a share of the spread of their feature."""

PROJECTIONS = 8
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


def _without(pairs: Int[np.ndarray, "pairs 2"], known: Int[np.ndarray, "known 2"]) -> Int[np.ndarray, "left 2"]:
    return pairs[~np.isin(pairs[:, 0], known[:, 0])]


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
    tree = KDTree(second @ directions)
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
