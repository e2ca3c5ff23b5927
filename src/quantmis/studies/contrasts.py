"""Numbers over many problems: means with intervals that take problems of one cluster for a single one."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import rankdata, ttest_ind

from quantmis.errors import UserError
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.interval import quantile
from quantmis.stats.ranking import kendall, kendall_where_apart
from quantmis.studies.outcome import Outcome, QuantizerOutcome

Number = Callable[[Outcome], float | None]
Score = Callable[[QuantizerOutcome], float | None]
Range = tuple[float, float]

FEWEST = 3
"""Clusters that an interval needs: Student's over two of them is 13 standard errors wide to either side."""

ANY, PROPORTION, CORRELATION = (-math.inf, math.inf), (0.0, 1.0), (-1.0, 1.0)


def over(
    outcomes: Sequence[Outcome], number: Number, level: float = 0.95, within: Range = ANY
) -> Estimate | Unmeasured:
    """Return the mean of a number over clusters of problems that have it, with Student's interval.

    `within` is what the number can be; the interval does not leave it. Where fewer than three clusters have the
    number, the result says so.
    """
    means = clustered(outcomes, number)
    if len(means) < FEWEST:
        return Unmeasured(f"too few: {len(means)} independent problems have this number, {FEWEST} are needed")
    value, error = float(np.mean(means)), float(np.std(means, ddof=1)) / math.sqrt(len(means))
    reach = quantile(level, len(means) - 1) * error
    low, high = max(value - reach, within[0]), min(value + reach, within[1])
    return Estimate(value, min(low, value), max(high, value), level, f"Student's interval over {len(means)} problems")


def clustered(outcomes: Sequence[Outcome], number: Number) -> list[float]:
    """Return the mean of a number in each cluster of problems that has it."""
    by_cluster: dict[str, list[float]] = {}
    for outcome in outcomes:
        each = number(outcome)
        if each is not None:
            by_cluster.setdefault(outcome.cluster, []).append(each)
    return [float(np.mean(values)) for values in by_cluster.values()]


def between(first: Sequence[float], second: Sequence[float], level: float = 0.95) -> Estimate | Unmeasured:
    """Return the mean of `first` minus that of `second`, with Welch's interval.

    Two problems of one kind will do where there are three of the other: both give degrees of freedom.
    """
    if min(len(first), len(second)) < 2 or max(len(first), len(second)) < FEWEST:
        return Unmeasured(f"too few: 2 independent problems of one kind and {FEWEST} of the other are needed")
    interval = ttest_ind(first, second, equal_var=False).confidence_interval(level)
    value = float(np.mean(first) - np.mean(second))
    return Estimate(value, min(float(interval.low), value), max(float(interval.high), value), level, "Welch's interval")


def ranks(outcomes: Sequence[Outcome], score: Score) -> dict[str, Number]:
    """Return for each quantizer the function to its rank in a problem, 1 = the least `score`, ties averaged."""
    return {each.name: _rank(each.name, score) for each in outcomes[0].quantizers}


def _rank(name: str, score: Score) -> Number:
    def of(outcome: Outcome) -> float | None:
        scores = {each.name: score(each) for each in outcome.quantizers}
        if None in scores.values():
            return None
        order: np.ndarray = rankdata(np.array(list(scores.values()), dtype=float))
        return float(order[list(scores).index(name)])

    return of


def agreement(first: Score, second: Score) -> Number:
    """Return the function to Kendall's tau between two scores of the quantizers of a problem."""

    def of(outcome: Outcome) -> float | None:
        pairs = [(first(each), second(each)) for each in outcome.quantizers]
        if any(None in pair for pair in pairs):
            return None
        table = np.array(pairs, dtype=float)
        try:
            return kendall(table[:, 0], table[:, 1]).value
        except UserError:
            return None  # one of the two is the same for all: there is no order to compare

    return of


def security_agreement(second: Score) -> Number:
    """Return the function to Kendall's tau between security by theory, where it states an order, and a score."""

    def of(outcome: Outcome) -> float | None:
        secure = [each.security for each in outcome.quantizers if isinstance(each.security, Estimate)]
        values = [second(each) for each in outcome.quantizers]
        if None in values or len(secure) < len(values):
            return None
        try:
            return kendall_where_apart(secure, -np.array(values, dtype=float)).value
        except UserError:
            return None  # too few samples to order any two

    return of


def exposure(quantizer: QuantizerOutcome) -> float:
    """Return the AUC of adaptive LiRA."""
    return quantizer.lira.value


def paired(quantizer: QuantizerOutcome) -> float:
    """Return the AUC of paired replicates."""
    return quantizer.paired_replicates.value


def exposed_by_indicator(quantizer: QuantizerOutcome) -> float | None:
    """Return the indicator, negated: higher = predicted to give away more."""
    return -quantizer.indicator.value if isinstance(quantizer.indicator, Estimate) else None


def exposed_by_security(quantizer: QuantizerOutcome) -> float | None:
    """Return security by theory, negated."""
    return -quantizer.security.value if isinstance(quantizer.security, Estimate) else None
