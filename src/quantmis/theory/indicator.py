"""The indicator on models that training reached: which gap to measure, on which points, and how sure it is.

The codebook of a deep network cannot be enumerated. Its candidates are the quantized models that training actually
reaches: rows of a table, each with the replicate (an independent training) that it came from. An *aggregate* says
which rates `delta^2 / 2 sigma^2` between rows make up `r_Q`:

    pairs    the mean over pairs of rows from different replicates
    min      the best row against the nearest other, `r_Q` of the paper
    median   the best row against the median other

Rows may come from one training too, tuned further on many random halves of its own samples: `pairs` of these, each its
own replicate, with losses at the samples of that training, orders quantizers better than four trainings do, and `min`
never does (benchmarks/RESULTS.md, r_Q from one training). Checkpoints are no such candidates: they differ by time.

The square of a measured gap is too large by the variance of the measurement, and a minimum found on the points that
measure it is too small. So `min` and `median` choose on one half of the points and measure on the other, over many
random halves and both ways, and every squared gap is reduced by its sampling variance. The interval resamples points
and replicates together and is symmetric for the logarithm of the rate, since resampled rates are as skewed as
variances are. The same seed resamples the same way in every table of the same shape, so that the draws of several
quantizers are paired and `quantmis.stats.ranking` can compare them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int, Shaped

from quantmis.errors import UserError, require
from quantmis.registry import suggestion
from quantmis.seeds import generator
from quantmis.stats.estimate import Estimate
from quantmis.theory.candidates import Gaps, checked, distinct, gaps, without_shared

BLOCKS = 1024  # more points than this are resampled in random blocks: the law of a mean stays, the cost does not grow
SPLITS = 64
DRAWS = 1000
WIDEST = 10.0  # of the logarithm: beyond a factor of 20,000 either way an interval says nothing

Weights = Float[np.ndarray, "draws blocks"]
Rows = Float[np.ndarray, "draws candidates"]
Rates = Float[np.ndarray, " draws"]
Square = Float[np.ndarray, "candidates candidates"]


def indicator(
    losses: Float[np.ndarray, "candidates samples"],
    replicate: Shaped[np.ndarray, " labels"] | None = None,
    aggregate: str = "pairs",
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Return `r_Q` of the models that training reached, cross-fitted, with an interval.

    `losses`: [candidates, samples], the same held-out points for all rows. `replicate`: [candidates], the training
    that each row came from; by default every row is its own. `aggregate`: "pairs", "min" or "median". The rate is
    per training point; larger means more private. When the gaps cannot be told from 0 the estimate carries a
    `reason` and its value is an upper bound. Raises `UserError` for an unknown aggregate, fewer than two
    candidates or replicates, fewer than 100 samples, labels of the wrong length, and NaN.
    Source: the rate of arXiv 2502.06567; aggregates and cross-fitting derived for this project.

    >>> points = np.random.default_rng(0).normal(size=(3, 2000))
    >>> rate = indicator(points + np.array([[0.0], [0.5], [1.0]]))  # true rates: 1/16, 1/16 and 1/4, mean 1/8
    >>> round(rate.value, 2), rate.low < 0.125 < rate.high
    (0.14, True)
    """
    require(0 < level < 1, f"level: expected a probability between 0 and 1, got {level}")
    table = _table(losses, replicate, _aggregate(aggregate), seed)
    value = table.value()
    if np.quantile(table.draws(replicates=False), (1 - level) / 2) <= 0:
        high = max(float(np.quantile(table.draws(), (1 + level) / 2)), value, 0.0)
        return Estimate(high, 0.0, high, level, table.method, reason=table.unresolved)
    factor = math.exp(min(table.relative_error(value) * table.deviations(level), WIDEST))
    return Estimate(value, value / factor, value * factor, level, table.method)


def indicator_draws(
    losses: Float[np.ndarray, "candidates samples"],
    replicate: Shaped[np.ndarray, " labels"] | None = None,
    aggregate: str = "pairs",
    seed: int = 0,
) -> Float[np.ndarray, " draws"]:
    """Return the resampled values behind the interval of `indicator`, for `quantmis.stats.ranking`.

    Tables of different quantizers over the same rows and points get the same resampled points and replicates in
    the same draw, so their draws are paired. With two replicates, one pair, the draws speak of those two trainings
    only: an order of quantizers needs four or more. Arguments and errors are those of `indicator`.

    >>> points = np.random.default_rng(0).normal(size=(3, 2000))
    >>> indicator_draws(points).shape
    (1000,)
    """
    return _table(losses, replicate, _aggregate(aggregate), seed).draws()


@dataclass(frozen=True)
class _Aggregate:
    """A way to make one rate of a table: `rates` does it for many resamples of its points and rows at once.

    A squared gap measured on N points is too large by `bias / N` in units of the rate.
    """

    name: str
    words: str
    bias: float
    independent: bool  # whether only rows of different replicates make a pair
    rates: Callable[["_Table", Weights, Rows], Rates]


@dataclass(frozen=True, eq=False)
class _Table:
    """A table of losses reduced to what resampling needs.

    `sums`: the losses beyond those of the best row, summed over each block of points; `sizes`: the points of each
    block. `variance`: `sigma_jk^2`; `usable`: the pairs that make a rate. `curvature`: the effect of each block on
    the rate through the variances. `replicate`: numbers from 0.
    """

    aggregate: _Aggregate
    seed: int
    sums: Float[np.ndarray, "candidates blocks"]
    sizes: Float[np.ndarray, " blocks"]
    variance: Square
    usable: Bool[np.ndarray, "candidates candidates"]
    curvature: Float[np.ndarray, " blocks"]
    replicate: Int[np.ndarray, " candidates"]

    @property
    def samples(self) -> int:
        return int(self.sizes.sum())

    @property
    def replicates(self) -> int:
        return int(self.replicate.max()) + 1

    @property
    def method(self) -> str:
        resampled = "and replicates" if self.replicates > 2 else "only (two replicates are one pair)"
        interval = f"interval for the logarithm, {DRAWS} resamples of points {resampled}"
        return f"{self.aggregate.name}: {self.aggregate.words}; {interval}"

    @property
    def unresolved(self) -> str:
        available = f"{self.samples} points and {self.replicates} replicates"
        return f"below resolution: the loss gaps cannot be told from 0 with {available}; the value is an upper bound"

    def value(self) -> float:
        rates = self.aggregate.rates(self, np.ones((SPLITS, len(self.sizes))), np.ones((SPLITS, len(self.replicate))))
        return float(rates.mean() - self.aggregate.bias / self.samples)

    def draws(self, replicates: bool = True) -> Rates:
        points = _resampled(generator(self.seed, "indicator", "points"), len(self.sizes), fewest=1)
        trainings = _resampled(generator(self.seed, "indicator", "replicates"), self.replicates, fewest=2)
        rows = trainings[:, self.replicate] if replicates else np.ones((DRAWS, len(self.replicate)))
        rates = self.aggregate.rates(self, points, rows)
        noise = 2 * self.aggregate.bias / self.samples  # once for the points, once for their resampling
        draws = rates - noise + points @ self.curvature / self.samples
        return np.where(
            np.isnan(draws), self.value(), draws
        )  # a resample without two different candidates says nothing

    def relative_error(self, value: float) -> float:
        """Return the standard error of the logarithm of the rate; few replicates spread too little when resampled."""
        spread = float(self.draws().std()) / value
        return spread if self.replicates == 2 else spread * math.sqrt(self.replicates / (self.replicates - 1))

    def deviations(self, level: float) -> float:
        """Return how many standard errors the interval reaches: Student's for the replicates, normal without them."""
        freedom = math.inf if self.replicates == 2 else self.replicates - 1
        return float(scipy.special.stdtrit(freedom, (1 + level) / 2))

    def means(self, weights: Weights) -> Rows:
        return weights @ self.sums.T / (weights @ self.sizes)[:, None]


def _table(losses: np.ndarray, replicate: np.ndarray | None, aggregate: _Aggregate, seed: int) -> _Table:
    table = without_shared(checked(losses))
    distinct(table)
    number = _numbered(replicate, len(table))
    pairs = gaps(table)
    usable = pairs.different & (pairs.variance > 0)
    if aggregate.independent:
        usable &= number[:, None] != number
    require(
        usable.any(),
        "losses: no two candidates of different replicates differ by more than a constant",
        hint="training reached one quantized model only; there is no gap to measure",
    )
    block = generator(seed, "indicator", "blocks").permutation(table.shape[1]) % BLOCKS
    sums = np.stack([np.bincount(block, weights=row) for row in table])
    curvature = _curvature(table, pairs, usable, block) if aggregate.independent else np.zeros(sums.shape[1])
    return _Table(aggregate, seed, sums, np.bincount(block) * 1.0, pairs.variance, usable, curvature, number)


def _numbered(replicate: np.ndarray | None, candidates: int) -> Int[np.ndarray, " candidates"]:
    if replicate is None:
        return np.arange(candidates)
    require(
        replicate.shape == (candidates,),
        f"replicate: expected {candidates} labels, one per row of losses, got shape {replicate.shape}",
        hint="replicate[k] names the training that row k came from",
    )
    number = np.unique(replicate, return_inverse=True)[1]
    require(
        number.max() > 0,
        "replicate: expected at least two replicates, got one",
        hint="checkpoints of one training are near ties by chance; train again with another seed",
    )
    return number


def _resampled(stream: np.random.Generator, size: int, fewest: int) -> Float[np.ndarray, "draws size"]:
    """Return how often each of `size` units is drawn; a draw with fewer than `fewest` different units is redrawn."""
    counts = _counts(stream, size, DRAWS)
    while (poor := (counts > 0).sum(axis=1) < fewest).any():
        counts[poor] = _counts(stream, size, int(poor.sum()))
    return counts


def _counts(stream: np.random.Generator, size: int, draws: int) -> Float[np.ndarray, "draws size"]:
    place = stream.integers(size, size=(draws, size)) + size * np.arange(draws)[:, None]
    return np.bincount(place.ravel(), minlength=draws * size).reshape(draws, size).astype(float)


def _curvature(table: np.ndarray, pairs: Gaps, usable: np.ndarray, block: np.ndarray) -> Float[np.ndarray, " blocks"]:
    """Return the influence of each block on the mean rate through `sigma^2`: `-delta^2 (D^2 - sigma^2) / 2 sigma^4`."""
    slope = np.divide(-(pairs.gap**2), 2 * pairs.variance**2, where=usable, out=np.zeros_like(pairs.gap)) / usable.sum()
    centred = table - table.mean(axis=1, keepdims=True)
    influence = 2 * (slope.sum(axis=1) @ centred**2 - ((slope @ centred) * centred).sum(axis=0))
    return np.bincount(block, weights=influence - influence.mean())


def _mean_of_pairs(table: _Table, points: Weights, rows: Rows) -> Rates:
    """Return the mean of `delta^2 / 2 sigma^2` over pairs of rows, each row as often as it was drawn."""
    inverse = np.divide(1.0, table.variance, where=table.usable, out=np.zeros_like(table.variance))
    means = table.means(points)
    products = rows * means
    total = ((products * means) @ inverse * rows).sum(axis=1) - (products @ inverse * products).sum(axis=1)
    pairs = (rows @ table.usable * rows).sum(axis=1)
    return np.divide(total, pairs, where=pairs > 0, out=np.full_like(total, np.nan))


def _crossed(pick: Callable[[Rows, Rows], Rates]) -> Callable[[_Table, Weights, Rows], Rates]:
    """Return the aggregate that chooses on one half of the points and measures on the other, both ways."""

    def rates(table: _Table, points: Weights, rows: Rows) -> Rates:
        half = generator(table.seed, "indicator", "halves").random(points.shape).argsort(axis=1) % 2
        first, second = table.means(points * half), table.means(points * (1 - half))
        ways = [_from_best(table, *halves, rows, pick) for halves in ((first, second), (second, first))]
        return np.mean(ways, axis=0)

    return rates


def _from_best(table: _Table, choose: Rows, measure: Rows, rows: Rows, pick: Callable[[Rows, Rows], Rates]) -> Rates:
    best = np.where(rows > 0, choose, np.inf).argmin(axis=1)
    usable = table.usable[best] & (rows > 0)
    double = 2 * table.variance[best]
    choice, measured = (
        np.divide(
            (means - means[np.arange(len(best)), best][:, None]) ** 2,
            double,
            where=usable,
            out=np.full_like(means, np.nan),
        )
        for means in (choose, measure)
    )
    return pick(choice, measured)


def _nearest(choice: Rows, measured: Rows) -> Rates:
    """Return the measured rate of the candidate whose rate is smallest where it is chosen."""
    column = np.where(np.isnan(choice), np.inf, choice).argmin(axis=1)
    return measured[np.arange(len(column)), column]


def _middle(choice: Rows, measured: Rows) -> Rates:
    """Return the median of the measured rates; NaN where there is none."""
    ordered = np.sort(measured, axis=1)  # NaN last
    count = (~np.isnan(measured)).sum(axis=1)
    row = np.arange(len(count))
    return (ordered[row, np.maximum(count - 1, 0) // 2] + ordered[row, count // 2]) / 2


def _aggregate(name: str) -> _Aggregate:
    if name not in AGGREGATES:
        raise UserError(f"unknown aggregate {name!r}", hint=suggestion(name, AGGREGATES))
    return AGGREGATES[name]


AGGREGATES = {
    aggregate.name: aggregate
    for aggregate in (
        _Aggregate("pairs", "mean over pairs of rows from different replicates", 0.5, True, _mean_of_pairs),
        _Aggregate("min", "the best row against the nearest other, cross-fitted", 1.0, False, _crossed(_nearest)),
        _Aggregate("median", "the best row against the median other, cross-fitted", 1.0, False, _crossed(_middle)),
    )
}
