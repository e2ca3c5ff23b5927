"""Which quantizer is more private than which, and which the data cannot separate.

Estimates of several quantizers made on the same points and the same models err together, so their order is known far
better than their values. Everything here therefore reads *paired draws*: a table [draws, quantizers] whose row holds
what each quantizer would have measured on one and the same resample (`quantmis.theory.indicator_draws` makes them).
Higher means more private. A rank counts the quantizers that are *significantly* more private, so that quantizers
which the data cannot separate share a rank instead of being ordered by chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int

from quantmis.errors import require
from quantmis.stats.estimate import Estimate


@dataclass(frozen=True, eq=False)
class Ranking:
    """Hold the order of quantizers that the data supports.

    `rank`: [quantizers], 1 + the number of quantizers significantly more private. `probability`: [quantizers,
    quantizers], the probability that the row is more private than the column; 0.5 on the diagonal. `level` is the
    confidence of each comparison.
    """

    rank: Int[np.ndarray, " quantizers"]
    probability: Float[np.ndarray, "quantizers quantizers"]
    level: float

    @property
    def separated(self) -> Bool[np.ndarray, "quantizers quantizers"]:
        """Whether the row is significantly more private than the column."""
        return self.probability >= (1 + self.level) / 2

    @property
    def groups(self) -> list[list[int]]:
        """The quantizers of each rank, from the most private; those of one group share their rank."""
        return [np.flatnonzero(self.rank == rank).tolist() for rank in np.unique(self.rank)]


def ranking(draws: Float[np.ndarray, "draws quantizers"], level: float = 0.95) -> Ranking:
    """Return the order that paired draws support, higher = more private.

    `draws`: [draws, quantizers], each row one joint resample. A comparison is significant when the probability of
    its direction is at least (1 + level) / 2; comparisons are not corrected for their number. Raises `UserError`
    for an empty table, NaN, or a level outside (0, 1).

    >>> order = ranking(np.array([[3.0, 1.0, 1.1], [3.2, 1.2, 1.1]]))
    >>> order.rank.tolist(), order.groups
    ([1, 2, 2], [[0], [1, 2]])
    """
    return _ranking(probability_more_private(draws), level)


def probability_more_private(
    draws: Float[np.ndarray, "draws quantizers"],
) -> Float[np.ndarray, "quantizers quantizers"]:
    """Return the probability that the row is more private than the column: `P(A > B) + P(A = B) / 2`.

    `draws`: [draws, quantizers], each row one joint resample, higher = more private. Raises `UserError` for an
    empty table or NaN.

    >>> probability_more_private(np.array([[2.0, 1.0], [3.0, 1.0], [1.0, 1.0]])).round(2).tolist()
    [[0.5, 0.83], [0.17, 0.5]]
    """
    require(
        draws.ndim == 2 and draws.size > 0,
        f"draws: expected a table [draws, quantizers] with at least one of each, got shape {draws.shape}",
    )
    _require_finite("draws", draws)
    return np.stack([(np.sign(column[:, None] - draws).mean(axis=0) + 1) / 2 for column in draws.T])


def kendall(
    first: Float[np.ndarray, " quantizers"], second: Float[np.ndarray, " quantizers"], level: float = 0.95
) -> Estimate:
    """Return Kendall's tau-b between two measures of the same quantizers; its interval is for other quantizers.

    `tau_b = (concordant - discordant) / sqrt(pairs untied in first * pairs untied in second)`. The interval takes
    the quantizers as a sample: Fisher's z of tau has standard error sqrt(0.437 / (quantizers - 4)) (Fieller,
    Hartley and Pearson, Biometrika 1957); with 4 quantizers or fewer it is [-1, 1]. Raises `UserError` for lengths
    that differ, NaN, fewer than two quantizers, or a measure that is the same for all.

    >>> round(kendall(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0])).value, 3)
    0.667
    """
    require(
        first.ndim == 1 and first.shape == second.shape,
        f"expected two measures of the same quantizers, got shapes {first.shape} and {second.shape}",
    )
    for name, measure in (("first", first), ("second", second)):
        _require_finite(name, measure)
        require(np.ptp(measure) > 0, f"{name}: all quantizers have the same value, so there is no order to compare")
    value = float(np.asarray(scipy.stats.kendalltau(first, second))[0])
    low, high = _fisher(value, len(first), level)
    return Estimate(value, low, high, level, "Kendall tau-b, Fieller's interval over quantizers")


def kendall_where_apart(
    first: Sequence[Estimate], second: Float[np.ndarray, " quantizers"], level: float = 0.95
) -> Estimate:
    """Return Kendall's tau between two measures over the pairs that the first tells apart, with its interval.

    A pair is told apart where its intervals do not overlap, whichever way their errors hang together; others, and
    values that are bounds only, have no order that could agree with another. The interval is that of `kendall`.
    Raises `UserError` where no pair is told apart, and for lengths that differ.

    >>> wide = [Estimate(1.0, 0.0, 2.0), Estimate(1.5, 0.5, 2.5), Estimate(9.0, 8.0, 10.0)]
    >>> kendall_where_apart(wide, np.array([2.0, 1.0, 3.0])).value
    1.0
    """
    require(len(first) == len(second), f"expected two measures of the same quantizers, got {len(first), len(second)}")
    low, high = (np.array([getattr(each, end) for each in first]) for end in ("low", "high"))
    order = np.triu((low[:, None] > high).astype(int) - (high[:, None] < low), 1)
    pairs, all_pairs = int((order != 0).sum()), len(first) * (len(first) - 1) // 2
    require(
        pairs > 0,
        f"none of {all_pairs} orders is stated: the intervals overlap",
        hint="measure on more held-out samples",
    )
    value = float((order * np.sign(second[:, None] - second)).sum() / pairs)
    low_end, high_end = _fisher(value, int((order + order.T != 0).any(axis=1).sum()), level)
    method = f"Kendall's tau over the {pairs} of {all_pairs} orders that are stated, Fieller's interval over quantizers"
    return Estimate(value, low_end, high_end, level, method)


def _ranking(probability: Float[np.ndarray, "quantizers quantizers"], level: float) -> Ranking:
    require(0 < level < 1, f"level: expected a probability between 0 and 1, got {level}")
    separated = probability >= (1 + level) / 2
    return Ranking(1 + separated.sum(axis=0), probability, level)


def _fisher(tau: float, quantizers: int, level: float) -> tuple[float, float]:
    if quantizers <= 4:
        return -1.0, 1.0
    error = NormalDist().inv_cdf((1 + level) / 2) * (0.437 / (quantizers - 4)) ** 0.5
    centre = np.arctanh(np.clip(tau, -1 + 1e-9, 1 - 1e-9))
    return min(float(np.tanh(centre - error)), tau), max(float(np.tanh(centre + error)), tau)


def _require_finite(name: str, values: np.ndarray) -> None:
    require(np.isfinite(values).all(), f"{name}: expected finite numbers, got NaN or infinity")
