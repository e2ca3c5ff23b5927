"""Standard errors of numbers made from a whole loss table, whose entries are not independent.

Entries of one row share a model, entries of one column share a sample, and two models trained on complementary
halves share the draw that divided them. So a metric is written as its value plus the sum of its *influences*
[models, samples], what each entry adds to first order, and its variance is that of a sum clustered both ways
(Cameron, Gelbach & Miller 2011): by model, where models trained on the same or on complementary samples are one
cluster, and by sample. One pass, no resampling; and the difference of two metrics over the same table has the
difference of their influences.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True, eq=False)
class Linear:
    """Hold a metric's value and its influences [models, samples], which sum to about its error."""

    value: float
    influence: Float[np.ndarray, "models samples"]


@dataclass(frozen=True)
class Spread:
    """Hold a variance and the degrees of freedom it was estimated with; `clusters` counts those of the models."""

    variance: float
    freedom: float
    clusters: int


def kin(member: Bool[np.ndarray, "models samples"]) -> Int[np.ndarray, " models"]:
    """Return the number of each row's cluster; rows trained on the same or on complementary samples share it.

    >>> kin(np.array([[True, False], [False, True], [True, True]])).tolist()
    [0, 0, 1]
    """
    same_side = member ^ ~member[:, :1]  # a row and its complement become one
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(np.packbits(row).tobytes(), len(numbers)) for row in same_side])


def spread(influence: Float[np.ndarray, "models samples"], cluster: Int[np.ndarray, " models"]) -> Spread:
    """Return the variance of the sum of `influence`, clustered by `cluster` of rows and by column.

    A single cluster of models says nothing of how models vary: then only samples vary, and the interval is about
    these models. The variance is never below what either clustering alone gives.
    """
    cells = _gather(influence, cluster)
    by_row, by_column, by_cell = (_squares(parts) for parts in (cells.sum(1), cells.sum(0), cells))
    if len(cells) == 1:
        return Spread(by_column, max(cells.shape[1] - 1.0, 1.0), 1)
    variance = max(by_row + by_column - by_cell, by_row, by_column, by_cell)
    excess = max(by_row - by_cell, 0.0) ** 2 / (len(cells) - 1) + by_column**2 / max(cells.shape[1] - 1, 1)
    freedom = variance**2 / excess if excess > 0 else np.inf
    return Spread(variance, float(max(freedom, 1.0)), len(cells))


def covariance(
    influences: Sequence[Float[np.ndarray, "models samples"]], cluster: Int[np.ndarray, " models"]
) -> Float[np.ndarray, "metrics metrics"]:
    """Return the covariance of several metrics over one table (one per quantizer, say), clustered both ways.

    Negative eigenvalues, which a difference of clusterings can leave, are raised to 0.
    """
    cells = np.stack([_gather(influence, cluster) for influence in influences])
    by_column = _products(cells.sum(1))
    if cells.shape[1] == 1:
        return by_column
    whole = _products(cells.sum(2)) + by_column - _products(cells.reshape(len(cells), -1))
    values, vectors = np.linalg.eigh(whole)
    return (vectors * np.maximum(values, 0)) @ vectors.T


def _gather(
    influence: Float[np.ndarray, "models samples"], cluster: Int[np.ndarray, " models"]
) -> Float[np.ndarray, "clusters samples"]:
    order = np.argsort(cluster, kind="stable")
    starts = np.flatnonzero(np.diff(cluster[order], prepend=-1))
    return np.add.reduceat(influence[order], starts, axis=0)


def _squares(parts: Float[np.ndarray, "..."]) -> float:
    return float(np.square(parts).sum()) * _correction(parts.size)


def _products(parts: Float[np.ndarray, "metrics parts"]) -> Float[np.ndarray, "metrics metrics"]:
    return parts @ parts.T * _correction(parts.shape[1])


def _correction(parts: int) -> float:
    return parts / (parts - 1) if parts > 1 else 1.0
