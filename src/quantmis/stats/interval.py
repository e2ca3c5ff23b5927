"""Intervals for numbers between 0 and 1: of known variance, clustered or not, and exact ones for counts.

A proportion of variance V is treated as one counted in v (1 - v) / V independent trials (its effective number), and
gets Wilson's interval for that many. So it stays within [0, 1], has a width at 0 and at 1, and is the usual
symmetric interval in between.
"""

from dataclasses import replace

import numpy as np
import scipy

from quantmis.stats.cluster import Spread
from quantmis.stats.estimate import Estimate


def quantile(level: float, freedom: float) -> float:
    """Return how many standard errors an interval of `level` reaches to either side (Student's t).

    >>> round(quantile(0.95, 10), 3), round(quantile(0.95, float("inf")), 3)
    (2.228, 1.96)
    """
    at = (1 + level) / 2
    return float(scipy.special.ndtri(at) if np.isinf(freedom) else scipy.special.stdtrit(freedom, at))


def wilson(value: float, over: Spread, level: float, units: int) -> tuple[float, float]:
    """Return the interval of a number in [0, 1] measured on `units` samples.

    Near 0 and 1 the variance vanishes with the last exception seen, so that there the samples count as the trials.

    >>> low, high = wilson(1.0, Spread(0.0, 100.0, 1), level=0.95, units=1000)
    >>> round(low, 4), high
    (0.9961, 1.0)
    """
    apart = value * (1 - value)
    short = max(1 / units - apart, 0.0)
    least = 1 / (units * over.models) ** 2  # entries that all agree leave no variance, and yet are finitely many
    trials = (apart + short) / max(over.variance + short / units, least)
    widening = quantile(level, over.freedom) ** 2 / trials
    centre = (value + widening / 2) / (1 + widening)
    reach = np.sqrt(widening * apart + widening**2 / 4) / (1 + widening)
    return max(0.0, min(value, float(centre - reach))), min(1.0, max(value, float(centre + reach)))


def for_all(estimate: Estimate, many: int) -> Estimate:
    """Return an estimate in the interval that holds for `many` of its kind together (Bonferroni), by normal quantiles.

    >>> wide = for_all(Estimate(0.0, -1.96, 1.96), 5)
    >>> round(wide.high, 2)
    2.58
    """
    if many <= 1:
        return estimate
    level = estimate.level
    wider = quantile(1 - (1 - level) / many, np.inf) / quantile(level, np.inf)
    low, high = (estimate.value + wider * (end - estimate.value) for end in (estimate.low, estimate.high))
    return replace(estimate, low=low, high=high)


def clopper_pearson(successes: int, trials: int, level: float) -> tuple[float, float]:
    """Return the exact interval of a proportion of *independent* trials.

    >>> [round(end, 4) for end in clopper_pearson(0, 10, level=0.95)]
    [0.0, 0.3085]
    """
    exact = scipy.stats.binomtest(successes, trials).proportion_ci(level, method="exact")
    return float(exact.low), float(exact.high)
