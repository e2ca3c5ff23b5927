"""The mean of a table over models and samples, such as the utility of a quantizer."""

import numpy as np
from jaxtyping import Bool, Float, Shaped

from quantmis.stats import interval
from quantmis.stats.cluster import Spread, pair_id, spread
from quantmis.stats.estimate import Estimate
from quantmis.stats.groups import numbers_of, units_of
from quantmis.stats.metrics import clustering


def average(
    values: Float[np.ndarray, "models samples"],
    member: Bool[np.ndarray, "models others"],
    level: float = 0.95,
    weight: Float[np.ndarray, " samples"] | None = None,
    groups: Shaped[np.ndarray, " samples"] | None = None,
) -> Estimate:
    """Return the mean of `values` [models, samples], clustered by sample and by models of one draw.

    `member` [models, others] says which models were trained on the same or complementary samples; its columns need not
    be those of `values`. Zeros and ones get an interval within [0, 1], other numbers a symmetric one. `weight`
    [samples]: how much each sample counts, by default all alike; the mean is then a ratio, and its interval that of
    its linearisation. `groups` [samples]: which samples belong together and are one draw.

    >>> right = np.array([[1.0, 1.0, 0.0, 1.0]])
    >>> round(average(right, np.array([[True]])).value, 2)
    0.75
    """
    value, apart = _centred(values, weight)
    numbers = numbers_of(groups, values.shape[1])
    over = spread(apart, pair_id(member), numbers)
    return _estimate(value, over, level, numbers, values, weight is None and bool(np.isin(values, (0.0, 1.0)).all()))


def average_difference(
    first: Float[np.ndarray, "models samples"],
    second: Float[np.ndarray, "models samples"],
    member: Bool[np.ndarray, "models others"],
    level: float = 0.95,
    weight: Float[np.ndarray, " samples"] | None = None,
    groups: Shaped[np.ndarray, " samples"] | None = None,
) -> Estimate:
    """Return the mean of `first` minus `second`, paired over the same models and samples; arguments as of `average`.

    Where no entry of zeros and ones differs, the truth may still: the interval reaches as far as that of a proportion
    of none among so many samples (Wilson).

    >>> same = np.ones((1, 100))
    >>> average_difference(same, same, np.array([[True]])).value
    0.0
    """
    difference = first - second
    value, apart = _centred(difference, weight)
    numbers = numbers_of(groups, difference.shape[1])
    over, units = spread(apart, pair_id(member), numbers), units_of(numbers, difference.shape[1])
    reach = interval.quantile(level, over.freedom) * float(np.sqrt(over.variance))
    if not difference.any() and np.isin(first, (0.0, 1.0)).all():
        reach = interval.wilson(0.0, over, level, units=units)[1]
    return Estimate(value, value - reach, value + reach, level, "paired; " + clustering(over, groups is not None))


def average_among(
    values: Float[np.ndarray, "models samples"],
    among: Bool[np.ndarray, "models samples"],
    level: float = 0.95,
    groups: Shaped[np.ndarray, " samples"] | None = None,
) -> Estimate:
    """Return the mean of the entries of `values` that `among` marks, clustered by sample and by models of one draw.

    `among` [models, samples] marks what models were trained on, say. Shares get an interval within [0, 1]. `groups`
    [samples]: which samples belong together and are one draw.

    >>> average_among(np.array([[1.0, 9.0], [9.0, 2.0]]), np.eye(2, dtype=bool)).value
    1.5
    """
    value = float(values[among].mean())
    numbers = numbers_of(groups, values.shape[1])
    over = spread(np.where(among, values - value, 0.0) / among.sum(), pair_id(among), numbers)
    marked = among.any(axis=0)  # only these are draws: the others would narrow the interval of a share near 0 or 1
    units = None if numbers is None else np.unique(numbers[marked], return_inverse=True)[1]
    return _estimate(value, over, level, units, values[:, marked], bool(np.isin(values, (0.0, 1.0)).all()))


def _estimate(
    value: float, over: Spread, level: float, numbers: np.ndarray | None, values: np.ndarray, is_share: bool
) -> Estimate:
    if is_share:
        low, high = interval.wilson(value, over, level, units=units_of(numbers, values.shape[1]))
    else:
        reach = interval.quantile(level, over.freedom) * float(np.sqrt(over.variance))
        low, high = value - reach, value + reach
    return Estimate(value, low, high, level, clustering(over, numbers is not None))


def _centred(
    values: Float[np.ndarray, "models samples"], weight: Float[np.ndarray, " samples"] | None
) -> tuple[float, Float[np.ndarray, "models samples"]]:
    """Return the mean, and what each entry moves it by."""
    if weight is None:
        value = float(values.mean(dtype=np.float64))
        return value, (values - value) / values.size
    share = np.broadcast_to(weight / weight.sum(), values.shape) / len(values)
    value = float((values * share).sum(dtype=np.float64))
    return value, (values - value) * share
