"""Do two quantizers give away differently? Paired comparisons over the same models and samples.

Two quantizers of the same models are measured on the same rows and columns, so most of what varies is common to both
and leaves their difference: its influences are the differences of theirs. Among many pairs some differ by chance;
Holm's correction keeps the probability of a single false claim below the stated one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from quantmis.errors import require
from quantmis.stats import interval
from quantmis.stats.cluster import Linear, pair_id, spread
from quantmis.stats.estimate import Estimate
from quantmis.stats.metrics import clustering
from quantmis.stats.roc import auc, tally


@dataclass(frozen=True)
class Difference:
    """Hold the metric of `first` minus that of `second`, the p-value of no difference, and the same after Holm."""

    first: str
    second: str
    estimate: Estimate
    p: float
    adjusted: float


def compare(
    scores: Mapping[str, Float[np.ndarray, "models samples"]],
    member: Bool[np.ndarray, "models samples"],
    level: float = 0.95,
) -> list[Difference]:
    """Compare the AUC of one attack between every two quantizers, given its scores by quantizer.

    Two are tied where `adjusted` exceeds 1 - `level`. Raises `UserError` for scores that do not fit `member`.

    >>> member, draw = np.arange(1000)[None] % 2 == 0, np.random.default_rng(0)
    >>> noise = draw.normal(size=(1, 1000))
    >>> [pair] = compare({"identity": noise + member, "sign": noise + 0.5 * member}, member)
    >>> pair.estimate.low < 0.122 < pair.estimate.high, pair.adjusted < 0.001
    (True, True)
    """
    return compare_metrics({name: auc(tally(each, member), member) for name, each in scores.items()}, member, level)


def compare_metrics(
    metrics: Mapping[str, Linear], member: Bool[np.ndarray, "models samples"], level: float = 0.95
) -> list[Difference]:
    """Compare one metric between every two quantizers, given its value and influences by quantizer."""
    cluster = pair_id(member)
    compared = [
        (first, second, *difference(metrics[first], metrics[second], cluster, level))
        for first, second in combinations(metrics, 2)
    ]
    adjusted = holm([p for *_, p in compared])
    return [Difference(*each, float(after)) for each, after in zip(compared, adjusted, strict=True)]


def difference(first: Linear, second: Linear, cluster: np.ndarray, level: float = 0.95) -> tuple[Estimate, float]:
    """Return `first` minus `second`, two metrics over the same table, and the p-value of no difference."""
    require(
        first.influence.shape == second.influence.shape,
        f"a paired comparison needs the same models and samples, got {first.influence.shape} "
        f"and {second.influence.shape}",
    )
    over = spread(first.influence - second.influence, cluster)
    value, error = first.value - second.value, float(np.sqrt(over.variance))
    reach = interval.quantile(level, over.freedom) * error
    p = 2 * float(stats.t.sf(abs(value) / error, over.freedom)) if error > 0 else float(value == 0)
    return Estimate(value, max(value - reach, -1.0), min(value + reach, 1.0), level, "paired; " + clustering(over)), p


def holm(p_values: Sequence[float]) -> Float[np.ndarray, " tests"]:
    """Return p-values corrected for their number (Holm 1979), in the order given.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.array(p_values, dtype=float)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)), 1.0)
    return adjusted
