"""Intervals for numbers between 0 and 1: of known variance, clustered or not, and exact ones for counts.

A proportion of variance V is treated as one counted in v (1 - v) / V independent trials (its effective number), and
gets Wilson's interval for that many. So it stays within [0, 1], has a width at 0 and at 1, and is the usual
symmetric interval in between.
"""

import numpy as np
from scipy import stats

from quantmis.stats.cluster import Spread


def quantile(level: float, freedom: float) -> float:
    """Return how many standard errors an interval of `level` reaches to either side (Student's t).

    >>> round(quantile(0.95, 10), 3), round(quantile(0.95, float("inf")), 3)
    (2.228, 1.96)
    """
    return float(stats.t.ppf((1 + level) / 2, freedom))


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


def clopper_pearson(successes: float, trials: float, level: float) -> tuple[float, float]:
    """Return the exact interval of a proportion of *independent* trials.

    >>> [round(end, 4) for end in clopper_pearson(0, 10, level=0.95)]
    [0.0, 0.3085]
    """
    tail, failures = (1 - level) / 2, trials - successes
    low = stats.beta.ppf(tail, successes, failures + 1) if successes > 0 else 0.0
    high = stats.beta.ppf(1 - tail, successes + 1, failures) if failures > 0 else 1.0
    return float(low), float(high)
