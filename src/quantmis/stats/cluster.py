"""Standard errors of numbers made from a whole loss table, whose entries are not independent.

Entries of one row share a model, entries of one column share a sample, and two models trained on complementary
halves share the draw that divided them. So a metric is written as its value plus the sum of its *influences*
[models, samples], what each entry adds to first order, and its variance is that of a sum clustered both ways
(Cameron, Gelbach & Miller 2011), by model and by sample. One pass, no resampling; and the difference of two metrics
over the same table has the difference of their influences.

Twins are clustered together, because what an unequal division gives to one it takes from the other; and also apart,
because from few pairs that estimate is unsteady; and together once more with the variance between pairs drawn towards
`USUAL` times what entries alone would make, as if `PRIOR` more pairs had been seen, because two or three pairs that
agree by chance say little. The one that reaches farthest counts. One pair says nothing of how trainings differ: then
only samples vary, as with a single model, and the interval is about these two models.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int

from quantmis.stats.groups import gather_groups

USUAL, PRIOR = 1.5, 2.0
"""Chosen on worlds of their own (benchmarks/validity.py): the least with which strong models keep 93 % from 4 on."""
JUDGED_AT = 0.975


@dataclass(frozen=True, eq=False)
class Linear:
    """Hold a metric's value and its influences [models, samples], which sum to about its error."""

    value: float
    influence: Float[np.ndarray, "models samples"]


@dataclass(frozen=True)
class Spread:
    """Hold a variance, the degrees of freedom it was estimated with, and the number of models it is over.

    `only_these`: how models vary is not in it, because there is only one, or one pair of twins.
    """

    variance: float
    freedom: float
    models: int
    only_these: bool = False


def pair_id(member: Bool[np.ndarray, "models samples"]) -> Int[np.ndarray, " models"]:
    """Return the number of each row's cluster; rows trained on the same or on complementary samples share it.

    >>> pair_id(np.array([[True, False], [False, True], [True, True]])).tolist()
    [0, 0, 1]
    """
    same_side = member ^ ~member[:, :1]  # a row and its complement become one
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(np.packbits(row).tobytes(), len(numbers)) for row in same_side])


def spread(
    influence: Float[np.ndarray, "models samples"],
    cluster: Int[np.ndarray, " models"],
    groups: Int[np.ndarray, " samples"] | None = None,
) -> Spread:
    """Return the variance of the sum of `influence`, clustered by column and by row, twins (`cluster`) together or not.

    `groups` [samples]: samples that are one draw. A single model says nothing of how models vary: then only samples
    vary, and the interval is about this model.

    >>> over = spread(np.random.default_rng(0).normal(size=(20, 30)), np.arange(20) // 2)
    >>> 300 < over.variance < 1200, over.models
    (True, 20)
    """
    influence = gather_groups(influence, groups)
    apart, together = _Sides.of(influence), _Sides.of(gather(influence, cluster))
    if together.rows == 1:
        return Spread(together.column, float(max(together.columns - 1, 1)), len(influence), True)
    tried = (apart.variance(floor=False), together.variance(floor=True), together.drawn_to_usual())
    variance, freedom = max(tried, key=lambda each: each[0] * scipy.special.stdtrit(each[1], JUDGED_AT) ** 2)
    return Spread(variance, freedom, len(influence))


def between_rows(
    influence: Float[np.ndarray, "models samples"],
    cluster: Int[np.ndarray, " models"],
    groups: Int[np.ndarray, " samples"] | None = None,
) -> float:
    """Return the variance of the sum of `influence`, clustered by rows alone, twins together."""
    return _Sides.of(gather(gather_groups(influence, groups), cluster)).row


def correlation(
    influences: Sequence[Float[np.ndarray, "models samples"]], cluster: Int[np.ndarray, " models"]
) -> Float[np.ndarray, "metrics metrics"]:
    """Return the correlation of the errors of several metrics over one table (one per quantizer, say).

    Of what clusters of models and samples add up to, both together; a metric without error is alone.
    """
    cells = np.stack([gather(influence, cluster) for influence in influences])
    sides = [cells.sum(1)] if cells.shape[1] == 1 else [cells.sum(1), cells.sum(2)]
    joint = sum((side @ side.T for side in sides), np.zeros((len(cells), len(cells))))
    error = np.sqrt(np.diag(joint))
    scaled = joint / np.outer(np.where(error > 0, error, 1.0), np.where(error > 0, error, 1.0))
    return scaled + np.diag((error == 0).astype(float))


@dataclass(frozen=True)
class _Sides:
    """Hold the variances by row, by column and by cell, and how many rows and columns there are."""

    row: float
    column: float
    cell: float
    rows: int
    columns: int

    @classmethod
    def of(cls, cells: Float[np.ndarray, "clusters samples"]) -> "_Sides":
        row, column, cell = (_squares(parts) for parts in (cells.sum(1), cells.sum(0), cells))
        return cls(row, column, cell, *cells.shape)

    def variance(self, floor: bool) -> tuple[float, float]:
        """Return the variance and Satterthwaite's degrees of freedom; `floor`: at least what each clustering gives."""
        samples = max(self.columns - 1, 1)
        if self.rows == 1:
            return self.column, float(samples)
        least = max(self.row, self.column, self.cell) if floor else 0.0
        variance = max(self.row + self.column - self.cell, least)
        unsteady = max(self.row - self.cell, 0.0) ** 2 / (self.rows - 1) + self.column**2 / samples
        return variance, max(variance**2 / unsteady, 1.0) if unsteady > 0 else float(samples)

    def drawn_to_usual(self) -> tuple[float, float]:
        """Return the variance and its degrees of freedom where that between rows is drawn towards the usual one."""
        freedom = self.rows - 1
        share = (PRIOR * USUAL * self.cell + freedom * self.row) / (PRIOR + freedom)
        rows, samples = max(share, self.cell), max(self.column - self.cell, 0.0)
        unsteady = rows**2 / (freedom + PRIOR) + samples**2 / max(self.columns - 1, 1)
        return rows + samples, max((rows + samples) ** 2 / unsteady, 1.0) if unsteady > 0 else float(self.columns)


def gather(
    influence: Float[np.ndarray, "models samples"], cluster: Int[np.ndarray, " models"]
) -> Float[np.ndarray, "clusters samples"]:
    """Return the sums of `influence` over the rows of each cluster."""
    _, number = np.unique(cluster, return_inverse=True)
    sums = np.zeros((number.max() + 1, influence.shape[1]))
    for each, row in zip(number, influence, strict=True):
        sums[each] += row
    return sums


def _squares(parts: Float[np.ndarray, "..."]) -> float:
    flat = parts.ravel()
    return float(flat @ flat) * _correction(parts.size)


def _correction(parts: int) -> float:
    return parts / (parts - 1) if parts > 1 else 1.0
