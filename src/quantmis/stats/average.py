"""The mean of a table over models and samples, such as the utility of a quantizer."""

import numpy as np
from jaxtyping import Bool, Float

from quantmis.stats import interval
from quantmis.stats.cluster import kin, spread
from quantmis.stats.estimate import Estimate
from quantmis.stats.metrics import clustering


def average(
    values: Float[np.ndarray, "models samples"], member: Bool[np.ndarray, "models others"], level: float = 0.95
) -> Estimate:
    """Return the mean of `values` [models, samples], clustered by sample and by models of one draw.

    `member` [models, others] says which models were trained on the same or complementary samples; its columns need not
    be those of `values`. Zeros and ones get an interval within [0, 1], other numbers a symmetric one.

    >>> right = np.array([[1.0, 1.0, 0.0, 1.0]])
    >>> round(average(right, np.array([[True]])).value, 2)
    0.75
    """
    value = float(values.mean(dtype=np.float64))
    over = spread((values - value) / values.size, kin(member))
    if np.isin(values, (0.0, 1.0)).all():
        low, high = interval.wilson(value, over, level, units=values.shape[1])
    else:
        reach = interval.quantile(level, over.freedom) * float(np.sqrt(over.variance))
        low, high = value - reach, value + reach
    return Estimate(value, low, high, level, clustering(over))


def average_difference(
    first: Float[np.ndarray, "models samples"],
    second: Float[np.ndarray, "models samples"],
    member: Bool[np.ndarray, "models others"],
    level: float = 0.95,
) -> Estimate:
    """Return the mean of `first` minus `second`, paired over the same models and samples; arguments as of `average`.

    Where no entry of zeros and ones differs, the truth may still: the interval reaches as far as that of a proportion
    of none among so many samples (Wilson).

    >>> same = np.ones((1, 100))
    >>> average_difference(same, same, np.array([[True]])).value
    0.0
    """
    apart = first - second
    value, units = float(apart.mean()), apart.shape[1]
    over = spread((apart - value) / apart.size, kin(member))
    reach = interval.quantile(level, over.freedom) * float(np.sqrt(over.variance))
    if not apart.any() and np.isin(first, (0.0, 1.0)).all():
        reach = interval.wilson(0.0, over, level, units=units)[1]
    return Estimate(value, value - reach, value + reach, level, "paired; " + clustering(over))
