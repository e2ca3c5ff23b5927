"""The official metrics of benchmarks, averaged over models, with intervals that know models and test samples.

A metric such as AUROC is no mean over samples, so its variance over test samples is found by leaving out one of
`BLOCKS` random blocks of them at a time (the grouped jackknife). The variance over models is added.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, mean_absolute_error, roc_auc_score

from quantmis import seeds
from quantmis.errors import require
from quantmis.stats import Estimate
from quantmis.stats.interval import quantile

BLOCKS = 20

Score = Callable[[np.ndarray, np.ndarray], float]


def _spearman(y: np.ndarray, predicted: np.ndarray) -> float:
    if np.ptp(predicted) == 0:
        return 0.0  # a model that always says the same orders nothing
    result: Any = spearmanr(y, predicted)
    return float(result.statistic)


METRICS: dict[str, Score] = {
    "auroc": lambda y, predicted: float(roc_auc_score(y, predicted)),
    "auprc": lambda y, predicted: float(average_precision_score(y, predicted)),
    "mae": lambda y, predicted: float(mean_absolute_error(y, predicted)),
    "spearman": _spearman,
}

RANGES = {"auroc": (0.0, 1.0), "auprc": (0.0, 1.0), "mae": (0.0, math.inf), "spearman": (-1.0, 1.0)}
"""What each metric can be; no interval leaves it."""


def utility(
    metric: str, y: Float[np.ndarray, " samples"], predicted: Float[np.ndarray, "models samples"], level: float = 0.95
) -> Estimate:
    """Return the mean over models of an official metric on a test set, with its interval.

    `metric`: "auroc", "auprc", "mae" or "spearman". Raises `UserError` for fewer test samples than blocks.

    >>> y = np.arange(100) % 2.0
    >>> found = utility("auroc", y, np.random.default_rng(0).normal(size=(4, 100)) + y)
    >>> found.low < 0.76 < found.high
    True
    """
    require(len(y) >= 2 * BLOCKS, f"a utility needs at least {2 * BLOCKS} test samples, got {len(y)}")
    each = [METRICS[metric](y, row) for row in predicted]
    value, models = float(np.mean(each)), len(each)
    between = float(np.var(each, ddof=1)) / models if models > 1 else 0.0
    reach = quantile(level, BLOCKS - 1) * math.sqrt(between + _jackknife(METRICS[metric], y, predicted))
    method = f"mean of {models} models; {BLOCKS} blocks of test samples left out in turn"
    least, most = RANGES[metric]
    return Estimate(value, max(value - reach, least), min(value + reach, most), level, method)


def chance(metric: str, trained: Float[np.ndarray, " samples"], y: Float[np.ndarray, " tests"]) -> float:
    """Return the utility of predicting without inputs: one score for all, for MAE the median of `trained` targets."""
    if metric == "mae":
        return float(np.abs(y - np.median(trained)).mean())
    return {"auroc": 0.5, "spearman": 0.0, "auprc": float(y.mean())}[metric]


def _jackknife(score: Score, y: np.ndarray, predicted: np.ndarray) -> float:
    """Return the variance over test samples of the mean score; both classes are spread over all blocks."""
    order = np.lexsort((seeds.generator(0, "utility", "blocks").random(len(y)), y))
    block = np.empty(len(y), dtype=np.int64)
    block[order] = np.arange(len(y)) % BLOCKS
    scores = [np.mean([score(y[block != one], row[block != one]) for row in predicted]) for one in range(BLOCKS)]
    return float(np.var(scores)) * (BLOCKS - 1)
