"""Samples that are in two sets at once: the same bytes, or so near that they are the same thing saved twice.

A sample that is both member and non-member makes every attack on it a coin, and hides what a model gives away; a
sample that is in a training set twice stays in the other half. So both are looked for before anything is measured.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from quantmis import seeds

NEAR = 0.01
"""The distance of near-duplicates, as a share of the typical distance between samples."""

PROJECTIONS = 8
FLOOR = 0.1
"""A feature of less than this share of the usual spread is not blown up to variance 1."""


class Overlap(NamedTuple):
    """Hold pairs (row in the first set, row in the second) of equal bytes, and of nearly equal numbers."""

    equal: Int[np.ndarray, "pairs 2"]
    near: Int[np.ndarray, "pairs 2"]


def overlap(first: np.ndarray, second: np.ndarray) -> Overlap:
    """Return which rows of `first` [samples, ...] are in `second` [others, ...] too, each with one partner.

    Numbers are nearly equal where their distance is below a hundredth of the typical one between samples, after each
    feature was brought to variance 1 (those that hardly vary stay small). Whole numbers (tokens, categories) are
    compared by their bytes alone.

    >>> x = np.random.default_rng(0).normal(size=(50, 4))
    >>> found = overlap(x[:30], np.concatenate([x[29:30], x[3:4] + 1e-5, x[30:]]))
    >>> found.equal.tolist(), found.near.tolist()
    ([[29, 0]], [[3, 1]])
    """
    equal = _equal(first, second)
    near = _near(_flat(first), _flat(second)) if first.dtype.kind == "f" else equal[:0]
    already = set(equal[:, 0].tolist())
    return Overlap(equal, near[[row not in already for row in near[:, 0].tolist()]])


def _equal(first: np.ndarray, second: np.ndarray) -> Int[np.ndarray, "pairs 2"]:
    where = {row.tobytes(): index for index, row in enumerate(np.ascontiguousarray(second))}
    keys = (row.tobytes() for row in np.ascontiguousarray(first))
    pairs = [(index, where[key]) for index, key in enumerate(keys) if key in where]
    return np.array(pairs, dtype=int).reshape(-1, 2)


def _near(first: Float[np.ndarray, "n d"], second: Float[np.ndarray, "m d"]) -> Int[np.ndarray, "pairs 2"]:
    """Search near the projections on a few directions, which are never farther apart than the samples themselves."""
    both = np.concatenate([first, second])
    spread = both.std(0)
    scale = np.maximum(spread, FLOOR * np.sqrt((spread**2).mean()))
    if not scale.any():
        return np.empty((0, 2), dtype=int)
    first, second = first / scale, second / scale
    width = first.shape[1]
    reach = NEAR * np.sqrt(2 * width)  # two independent samples of variance 1 are sqrt(2 d) apart
    draw = seeds.generator(0, "overlap").normal(size=(width, min(PROJECTIONS, width)))
    directions = np.linalg.qr(draw)[0]
    tree = KDTree(second @ directions)
    candidates = tree.query_ball_point(first @ directions, reach)
    pairs = [
        (row, partner)
        for row, partners in enumerate(candidates)
        for partner in sorted(partners)
        if np.linalg.norm(first[row] - second[partner]) <= reach
    ]
    _, once = np.unique([row for row, _ in pairs], return_index=True)
    return np.array(pairs, dtype=int).reshape(-1, 2)[once.astype(int)]


def _flat(x: np.ndarray) -> Float[np.ndarray, "n d"]:
    return x.reshape(len(x), -1).astype(np.float64)
