"""What is said of the version that was chosen, by whoever chose it, for whatever reason.

The version that looks best of ten looks better than it is: an interval made for one version does not hold for the one
that won. Two remedies, neither of which asks how the choice was made. *Intervals of all versions together* contain
all truths at once, and so the truth about the one that is shipped. *At most so much worse than the best* bounds how
much more a version gives away than the version that gives away least, whichever that is (Hsu 1984, multiple
comparisons with the best): of versions that are tied, the most useful one may be far from the least exposed.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import NormalDist

import numpy as np
import scipy
from jaxtyping import Bool, Float, Shaped

from quantmis.errors import require
from quantmis.seeds import generator
from quantmis.stats.cluster import Linear, correlation, pair_id, spread
from quantmis.stats.compare import moderated
from quantmis.stats.estimate import Estimate
from quantmis.stats.groups import gather_groups, numbers_of, units_of
from quantmis.stats.interval import wilson
from quantmis.stats.metrics import clustering

DRAWS = 20_000


def level_of_all(
    influences: Sequence[Float[np.ndarray, "models samples"]],
    member: Bool[np.ndarray, "models samples"],
    level: float = 0.95,
    groups: Shaped[np.ndarray, " samples"] | None = None,
) -> float:
    """Return the level at which single intervals of metrics with these influences hold all together at `level`.

    The metrics of versions of the same models err together, so it lies between `level` (all alike) and Bonferroni's
    1 - (1 - `level`) / metrics. From the largest of jointly normal errors, `DRAWS` draws.

    >>> draw = np.random.default_rng(0)
    >>> member = draw.random((8, 50)) < 0.5
    >>> one = draw.normal(size=(8, 50))
    >>> round(level_of_all([one, one], member), 2), round(level_of_all([one, draw.normal(size=(8, 50))], member), 2)
    (0.95, 0.97)
    """
    require(len(influences) > 0, "intervals of all together need at least one metric, got none")
    numbers = numbers_of(groups, member.shape[1])
    joint = correlation([gather_groups(each, numbers) for each in influences], pair_id(member))
    if len(joint) == 1:
        return level
    values, vectors = np.linalg.eigh(joint)
    normal = generator(0, "selection").normal(size=(DRAWS, len(values)))
    largest = np.abs(normal * np.sqrt(np.maximum(values, 0.0)) @ vectors.T).max(1)
    together = 2 * NormalDist().cdf(float(np.quantile(largest, level))) - 1
    return min(max(together, level), 1 - (1 - level) / len(joint))


def simultaneous(
    metrics: Mapping[str, Linear],
    member: Bool[np.ndarray, "models samples"],
    level: float = 0.95,
    groups: Shaped[np.ndarray, " samples"] | None = None,
) -> dict[str, Estimate]:
    """Return the interval of each metric in [0, 1] by name, wide enough to hold all together and so after a choice.

    >>> member, draw = np.arange(400)[None] % 2 == 0, np.random.default_rng(0)
    >>> metrics = {name: Linear(0.6, draw.normal(size=(1, 400)) / 400) for name in ("sign", "ternary")}
    >>> all_together = simultaneous(metrics, member)["sign"]
    >>> all_together.high - all_together.low > 2 * 1.96 * 0.95 * 0.05
    True
    """
    numbers = numbers_of(groups, member.shape[1])
    together = level_of_all([each.influence for each in metrics.values()], member, level, groups)
    units = units_of(numbers, member.shape[1])

    def estimate(metric: Linear) -> Estimate:
        over = spread(metric.influence, pair_id(member), numbers)
        value = min(max(metric.value, 0.0), 1.0)
        low, high = wilson(value, over, together, units)
        return Estimate(
            value,
            low,
            high,
            level,
            f"holds for all {len(metrics)} versions together; {clustering(over, numbers is not None)}",
        )

    return {name: estimate(metric) for name, metric in metrics.items()}


def worse_than_best(
    metrics: Mapping[str, Linear],
    member: Bool[np.ndarray, "models samples"],
    level: float = 0.95,
    groups: Shaped[np.ndarray, " samples"] | None = None,
) -> dict[str, float]:
    """Return by name how much larger each metric is at most than the smallest of all, whichever that is.

    With probability `level` all of these bounds hold, so that of the chosen one does. 0: none gives away less.

    >>> member, draw = np.arange(400)[None] % 2 == 0, np.random.default_rng(0)
    >>> metrics = {name: Linear(at, draw.normal(size=(1, 400)) / 400) for name, at in (("a", 0.5), ("b", 0.9))}
    >>> worse_than_best(metrics, member)["a"], 0.4 < worse_than_best(metrics, member)["b"] < 0.7
    (0.0, True)
    """
    pairs = list(combinations(metrics, 2))
    spreads = moderated([*metrics.values()], [*combinations(range(len(metrics)), 2)], member, groups)
    tail = (1 - level) / max(2 * len(pairs), 1)
    most = dict.fromkeys(metrics, 0.0)
    for (first, second), over in zip(pairs, spreads, strict=True):
        reach = float(scipy.stats.t.isf(tail, over.freedom) * np.sqrt(over.variance))
        apart = metrics[first].value - metrics[second].value
        most[first], most[second] = max(most[first], apart + reach), max(most[second], reach - apart)
    return most
