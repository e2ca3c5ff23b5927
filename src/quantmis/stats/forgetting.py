"""Whether samples that were to be forgotten look like samples that were never seen.

Where targets are classes, only samples of one class are compared: a model that was made to forget a class does worse on
the whole class, on samples that it never saw too, and that is no sign of anything.
"""

from typing import Any

import numpy as np
import scipy
from jaxtyping import Bool, Float, Shaped

from quantmis.stats.cluster import Linear

Strata = Shaped[np.ndarray, " samples"] | None


def has_peers(
    stratum: Strata, first: Bool[np.ndarray, " samples"], second: Bool[np.ndarray, " samples"]
) -> Bool[np.ndarray, " samples"]:
    """Return the samples of `first` for which there is one of `second` in their stratum.

    >>> has_peers(np.array([3, 4, 3]), np.array([True, True, False]), np.array([False, False, True])).tolist()
    [True, False, False]
    """
    if stratum is None:
        return first & second.any()
    return first & np.isin(stratum, stratum[second])


def area(
    scores: Float[np.ndarray, " samples"],
    first: Bool[np.ndarray, " samples"],
    second: Bool[np.ndarray, " samples"],
    stratum: Strata = None,
) -> Linear:
    """Return the probability that a sample of `first` scores higher than one of `second` of its stratum; ties half.

    Strata count as often as `first` has samples there; samples without a peer are left out, and one pair there must be.
    Influences are [1, samples].

    >>> one, other = np.array([True, True, False, False]), np.array([False, False, True, True])
    >>> area(np.array([1.0, 3.0, 2.0, 1.0]), one, other).value
    0.625
    """
    first, second = has_peers(stratum, first, second), has_peers(stratum, second, first)
    strata = np.zeros(len(scores), dtype=np.int64) if stratum is None else np.unique(stratum, return_inverse=True)[1]
    placement, against = np.zeros(len(scores)), np.zeros(len(scores))
    for each in np.unique(strata[first]):
        one, other = np.flatnonzero(first & (strata == each)), np.flatnonzero(second & (strata == each))
        placement[one] = _share_below(scores[one], scores[other])
        against[other] = len(one) / len(other) * (1 - _share_below(scores[other], scores[one]) - placement[one].mean())
    value = float(placement[first].mean())
    influence = np.where(first, placement - value, against) / first.sum()
    return Linear(value, influence[None])


def _share_below(scores: Float[np.ndarray, " one"], others: Float[np.ndarray, " other"]) -> Float[np.ndarray, " one"]:
    ordered = np.sort(others)
    ends = (np.searchsorted(ordered, scores, side) for side in ("left", "right"))
    return sum(ends, np.zeros(len(scores))) / (2 * len(ordered))


def quality(
    scores: Float[np.ndarray, " samples"],
    first: Bool[np.ndarray, " samples"],
    second: Bool[np.ndarray, " samples"],
    stratum: Strata = None,
) -> float:
    """Return the p-value of the two-sample test of Kolmogorov and Smirnov, of ranks within strata where there are any.

    Ranks within strata differ less by chance than plain scores, so the test errs on the side of no difference. One pair
    in a stratum there must be.

    >>> one = np.arange(40) % 2 == 0
    >>> quality(np.arange(40.0), one, ~one) > 0.9, quality(10.0 * one, one, ~one) < 1e-6
    (True, True)
    """
    first, second = has_peers(stratum, first, second), has_peers(stratum, second, first)
    ranks = scores.astype(np.float64)
    if stratum is not None:
        for each in np.unique(stratum[first]):
            among = (first | second) & (stratum == each)
            ranks[among] = scipy.stats.rankdata(scores[among]) / (among.sum() + 1)
    return _alike(ranks[first], ranks[second])


def likeness(scores: Float[np.ndarray, " forget"], retrained: Float[np.ndarray, " forget"]) -> float:
    """Return the forget quality of TOFU (Maini et al. 2024, arXiv 2401.06121): the p-value of the same test.

    `scores` are those of the model that was made to forget, `retrained` those of one that never saw the samples. Both
    are of the same samples, which makes a difference by chance rarer than the p-value says.
    """
    return _alike(scores, retrained)


def _alike(one: Float[np.ndarray, " one"], other: Float[np.ndarray, " other"]) -> float:
    test: Any = scipy.stats.ks_2samp(one, other)
    return float(test.pvalue)
