"""Do two quantizers give away differently? Paired comparisons over the same models and samples.

Two quantizers of the same models are measured on the same rows and columns, so most of what varies is common to both
and leaves their difference: its influences are the differences of theirs. Among many pairs some differ by chance;
Holm's correction keeps the probability of a single false claim below the stated one.

**How trainings differ** is hardly seen in the one to four pairs of twins that most audits train, and what is seen by
chance is taken for an order. So the variance between pairs of twins is *moderated*, as microarray studies moderate that
of genes from few chips (Smyth 2004, limma): its ratio to the variance that entries alone would make is pooled over all
pairs of quantizers and drawn towards `RATIO`, and the ratio of two quantizers is drawn towards the pooled one. One pair
of twins shows it too: what the training of one of them adds shows in the samples that it was trained on, what that of
the other adds in the others, and the two halves of the samples then differ by more than samples do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int, Shaped

from quantmis.errors import require
from quantmis.stats import interval
from quantmis.stats.cluster import Linear, Spread, gather, pair_id, spread
from quantmis.stats.estimate import Estimate
from quantmis.stats.groups import gather_groups, numbers_of
from quantmis.stats.metrics import clustering
from quantmis.stats.roc import auc, tally

RATIO, RATIO_FREEDOM, OWN_FREEDOM, MOST_FREEDOM = 1.75, 3.0, 64.0, 500.0
"""Chosen on development worlds of benchmarks/validity.py whose ratios were 1.1 to 5; those of small trained networks
were 1.0 to 1.7."""


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
    groups: Shaped[np.ndarray, " samples"] | None = None,
) -> list[Difference]:
    """Compare the AUC of one attack between every two quantizers, given its scores by quantizer.

    Two are tied where `adjusted` exceeds 1 - `level`. `groups` [samples]: which samples belong together. Raises
    `UserError` for scores that do not fit `member`.

    >>> member, draw = np.arange(1000)[None] % 2 == 0, np.random.default_rng(0)
    >>> noise = draw.normal(size=(1, 1000))
    >>> [pair] = compare({"identity": noise + member, "sign": noise + 0.5 * member}, member)
    >>> pair.estimate.low < 0.122 < pair.estimate.high, pair.adjusted < 0.001
    (True, True)
    """
    areas = {name: auc(tally(each, member), member) for name, each in scores.items()}
    return compare_metrics(areas, member, level, groups)


def compare_metrics(
    metrics: Mapping[str, Linear],
    member: Bool[np.ndarray, "models samples"],
    level: float = 0.95,
    groups: Shaped[np.ndarray, " samples"] | None = None,
) -> list[Difference]:
    """Compare one metric between every two quantizers, given its value and influences by quantizer."""
    _require_one_table(metrics)
    pairs = list(combinations(metrics, 2))
    spreads = moderated([*metrics.values()], [*combinations(range(len(metrics)), 2)], member, groups)
    compared = [
        (first, second, *_tested(metrics[first].value - metrics[second].value, over, level, groups is not None))
        for (first, second), over in zip(pairs, spreads, strict=True)
    ]
    adjusted = holm([p for *_, p in compared])
    return [Difference(*each, float(after)) for each, after in zip(compared, adjusted, strict=True)]


def difference(
    first: Linear,
    second: Linear,
    cluster: np.ndarray,
    level: float = 0.95,
    groups: Shaped[np.ndarray, " samples"] | None = None,
) -> tuple[Estimate, float]:
    """Return `first` minus `second`, two metrics over the same table, and the p-value of no difference."""
    _require_one_table({"first": first, "second": second})
    influence = first.influence - second.influence
    over = spread(influence, cluster, numbers_of(groups, influence.shape[1]))
    return _tested(first.value - second.value, over, level, groups is not None)


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


def _tested(value: float, over: Spread, level: float, is_grouped: bool) -> tuple[Estimate, float]:
    error = float(np.sqrt(over.variance))
    reach = interval.quantile(level, over.freedom) * error
    p = 2 * float(scipy.special.stdtr(over.freedom, -abs(value) / error)) if error > 0 else float(value == 0)
    return Estimate(value, value - reach, value + reach, level, "paired; " + clustering(over, is_grouped)), p


def _require_one_table(metrics: Mapping[str, Linear]) -> None:
    shapes = sorted({each.influence.shape for each in metrics.values()})
    require(
        len(shapes) <= 1, f"a paired comparison needs the same models and samples, got {' and '.join(map(str, shapes))}"
    )


def moderated(
    metrics: Sequence[Linear],
    pairs: Sequence[tuple[int, int]],
    member: Bool[np.ndarray, "models samples"],
    groups: Shaped[np.ndarray, " samples"] | None,
) -> list[Spread]:
    """Return the variance of the difference of each of the `pairs` of metrics, moderated over all of them.

    Of a single model the variance is that over samples.
    """
    cluster, models = pair_id(member), len(member)
    numbers = numbers_of(groups, member.shape[1])
    if models == 1:
        return [spread(metrics[a].influence - metrics[b].influence, cluster, numbers) for a, b in pairs]
    cells = [gather(gather_groups(each.influence, numbers), cluster) for each in metrics]
    half = _half(member, cluster, numbers)
    parts = np.array([_parts(cells[a] - cells[b], half) for a, b in pairs]).reshape(-1, 3)
    apart = np.array([metrics[a].value - metrics[b].value for a, b in pairs])
    return _spreads(parts, apart, max(int(cluster.max()), 1), len(metrics) - 1, models)


def _spreads(
    parts: Float[np.ndarray, "pairs 3"], apart: Float[np.ndarray, " pairs"], own_freedom: int, others: int, models: int
) -> list[Spread]:
    """Return moderated variances from those `_parts`, of differences that are `apart`, between one more than `others`.

    What is pooled are the ratios of versions that are near each other: those of versions far apart differ for other
    reasons than chance. The degrees of freedom are those of the pooled ratio, whose prior is taken for certain.
    """
    between, column, cell = parts.T
    size = np.where(cell > 0, cell, 1.0)
    ratios, weight = between / size, (cell > 0) / (1 + apart**2 / size)
    usual = float(weight @ ratios / weight.sum()) if weight.any() else 0.0
    freedom = others * own_freedom
    pooled = _posterior_mean(RATIO, RATIO_FREEDOM, usual, freedom)
    own = np.maximum([_posterior_mean(pooled, OWN_FREEDOM, each, own_freedom) for each in ratios.tolist()], 1.0)
    variances = np.maximum(np.maximum(column - cell, 0.0) + own * cell, column)
    unsteady = freedom * usual**2
    steady = (pooled * (RATIO_FREEDOM + freedom)) ** 2 / unsteady if unsteady > 0 else MOST_FREEDOM
    return [Spread(float(each), min(max(steady, 1.0), MOST_FREEDOM), models) for each in variances]


def _posterior_mean(prior: float, prior_freedom: float, ratio: float, freedom: int) -> float:
    return (prior_freedom * prior + freedom * ratio) / (prior_freedom + freedom)


def _half(
    member: Bool[np.ndarray, "models samples"],
    cluster: Int[np.ndarray, " models"],
    groups: Int[np.ndarray, " samples"] | None,
) -> Bool[np.ndarray, " units"] | None:
    """Return which samples, or groups, the first of a single pair of twins was trained on; None for more pairs."""
    if cluster.max() > 0:
        return None
    first = slice(None) if groups is None else np.unique(groups, return_index=True)[1]
    return member[0, first]


def _parts(
    cells: Float[np.ndarray, "pairs units"], half: Bool[np.ndarray, " units"] | None
) -> tuple[float, float, float]:
    """Return the variances between trainings, between samples, and of entries as if all were alone.

    Trainings are pairs of twins or, of one pair, its two models, each of which shows in the `half` that it was trained
    on.
    """
    samples = cells.shape[1]
    trainings = cells.sum(1) if half is None else np.array([cells[0, half].sum(), cells[0, ~half].sum()])
    between = float((trainings**2).sum()) * len(trainings) / max(len(trainings) - 1, 1)
    return between, float((cells.sum(0) ** 2).sum()) * samples / max(samples - 1, 1), float((cells**2).sum())
