"""Normal distributions fitted, sample by sample, to the signals of the references against each target.

The mean of a few references is safe, their variance is not: from two of them it is off by an order of magnitude, and
low-bit models make references that agree exactly, of variance 0. Variances are *shrunken* towards a common one (Smyth
2004): a scaled inverse chi-squared prior is fitted to the variances of all samples, and each sample's variance is the
posterior mean. In simulations of normal signals this is as good as the pooled variance where the samples' variances
are equal, better than each sample's own below 64 models, and the same from 64 models (32 references a side) on.

What is said of one sample does not depend on another that is far off, such as a target of 99,999 in a regression: the
scale that bounds variances from below is a median, and samples whose variance is `FAR` times the typical one, or a
`FAR`-th of it, count as if they stood at that limit, or not at all, where others' variances are estimated.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int

from quantmis.attacks.reference_sets import ReferenceSets, blocks
from quantmis.evidence import Evidence

LEAST_OF_TYPICAL = 1e-6
LEAST_OF_SCALE = 1e-12
LARGEST_GAP = 10.0
FAR = 1e3
"""So many times the typical variance is an outlier's, which says nothing of others."""
ROUNDING = 64 * np.finfo(float).eps
"""What a difference of sums of squares may be off by, of the sums: references that agree exactly have variance 0."""
LEAST_EXCESS = 1e-8
NEWTON_STEPS = 8


@dataclass(frozen=True, eq=False)
class Normal:
    """Hold targets' signals and, for each set of references, a normal distribution per sample.

    `variance` has one column where it is common to all samples; `of` maps target rows to sets.
    """

    signal: Float[np.ndarray, "targets samples"]
    mean: Float[np.ndarray, "sets samples"]
    variance: Float[np.ndarray, "sets _"]
    of: Int[np.ndarray, " targets"]

    def columns(self, block: slice) -> "Normal":
        """Return the same of some samples."""
        variance = self.variance if self.variance.shape[1] == 1 else self.variance[:, block]
        return Normal(self.signal[:, block], self.mean[:, block], variance, self.of)

    def standardised(self) -> Float[np.ndarray, "targets samples"]:
        """Return how many standard deviations each signal lies above the mean."""
        return (self.signal - self.mean[self.of]) / np.sqrt(self.variance)[self.of]

    def log_density(self) -> Float[np.ndarray, "targets samples"]:
        """Return the log-density of each signal, less the constant log(2 pi) / 2."""
        return -(self.standardised() ** 2 + np.log(self.variance)[self.of]) / 2


@dataclass(frozen=True, eq=False)
class Moments:
    """Hold, for each set of references and sample, how many there are, their mean, and the squares about it."""

    count: Float[np.ndarray, "sets samples"]
    mean: Float[np.ndarray, "sets samples"]
    square: Float[np.ndarray, "sets samples"]

    @property
    def freedom(self) -> Float[np.ndarray, "sets samples"]:
        """The degrees of freedom of the squares."""
        return np.maximum(self.count - 1, 0)


def fit(target: Evidence, against: ReferenceSets, trained: bool, how: str) -> Normal:
    """Fit the references of each set that were (not) `trained` on a sample; `how` is a name of `VARIANCES`."""
    signal, references = centred(target, against)
    side = moments(references, against, trained)
    return Normal(signal, side.mean, variance(side.square, side.freedom, signal, how), against.of)


def moments(references: Float[np.ndarray, "references samples"], against: ReferenceSets, trained: bool) -> Moments:
    """Return the moments of signals of those of each set that were (not) `trained` on a sample."""
    count = against.trained if trained else against.untrained
    result = Moments(count, np.empty_like(count), np.empty_like(count))
    for block in blocks(references.shape[1]):
        is_there, own = against.models.member[:, block] == trained, references[:, block]
        centre = _middle(own, is_there)
        terms = np.where(is_there, own - centre, 0.0)
        shift = against.sums(terms) / np.maximum(count[:, block], 1)
        result.mean[:, block] = np.where(count[:, block] > 0, centre + shift, 0.0)
        # About their middle, which no outlier moves, this difference hardly cancels; what rounding leaves is nothing.
        whole = against.sums(terms**2)
        square = whole - count[:, block] * shift**2
        result.square[:, block] = np.where(square > ROUNDING * whole, square, 0.0)
    return result


def _middle(
    signal: Float[np.ndarray, "references samples"], is_there: Bool[np.ndarray, "references samples"]
) -> Float[np.ndarray, " samples"]:
    """Return the median, the upper of two, of those that are there at each sample; 0 where none is."""
    count = is_there.sum(0)
    ordered = np.sort(np.where(is_there, signal, np.inf), axis=0)
    middle = np.take_along_axis(ordered, np.minimum(count // 2, len(signal) - 1)[None], axis=0)[0]
    return np.where(count > 0, middle, 0.0)


def drawn_together(inside: Normal, outside: Normal, against: ReferenceSets) -> tuple[Normal, Normal]:
    """Return both with the gap between their means drawn towards the usual one, in standard deviations of the sample.

    From few references the gap of a sample is mostly chance, its sign too, and where references agree exactly it is
    nothing but chance. The prior is normal, with the mean and variance that the gaps of all samples show beyond their
    own errors; gaps beyond `LARGEST_GAP` count as that many where it is fitted (after BASE and BaVarIA).
    """
    trained, untrained = np.maximum(against.trained, 1), np.maximum(against.untrained, 1)
    scale = np.sqrt((inside.variance + outside.variance) / 2)
    error = (inside.variance / trained + outside.variance / untrained) / scale**2
    gap = (inside.mean - outside.mean) / scale
    bounded = np.clip(gap, -LARGEST_GAP, LARGEST_GAP)
    usual = bounded.mean(1, keepdims=True)
    excess = np.maximum(((bounded - usual) ** 2 - error).mean(1, keepdims=True), 0.0)
    moved = (usual - gap) * error / (excess + error) * scale
    share = trained / (trained + untrained)
    return (
        replace(inside, mean=inside.mean + moved * (1 - share)),
        replace(outside, mean=outside.mean - moved * share),
    )


def variance(
    square: Float[np.ndarray, "sets samples"],
    freedom: Float[np.ndarray, "sets samples"],
    signal: Float[np.ndarray, "targets samples"],
    how: str = "shrunken",
) -> Float[np.ndarray, "sets _"]:
    """Return variances from sums of squares, never 0: at least a trillionth of a typical sample's mean square."""
    scale = _median_of_positive(np.einsum("ts,ts->s", signal, signal) / len(signal))
    variances = VARIANCES[how](square, freedom)
    return np.maximum(variances, LEAST_OF_SCALE * (scale or 1.0), out=variances)


def spread_of_scales(signal: Float[np.ndarray, "models samples"]) -> float:
    """Return how many times farther signals of one sample vary over models than those of a typical sample, at most.

    A table where this is 1,000 or more deserves a look: a target written as 99,999, say, or two units in one column.

    >>> table = np.random.default_rng(0).normal(size=(8, 100)) * np.append(np.ones(99), 1e6)
    >>> spread_of_scales(table) > 1e5
    True
    """
    deviations = signal.std(0, dtype=float)
    return float(deviations.max()) / (_median_of_positive(deviations) or 1.0)


def centred(
    target: Evidence, against: ReferenceSets
) -> tuple[Float[np.ndarray, "targets samples"], Float[np.ndarray, "references samples"]]:
    """Return the signals of targets and of references, less each sample's mean over the references."""
    references = against.models.signals.astype(float)
    shift = references[0].copy()  # first one row: columns of equal entries become exactly 0
    references -= shift
    rest = references.mean(0)
    references -= rest
    own = references if against.models is target else target.signals - shift - rest
    return own, references


def _pooled(
    square: Float[np.ndarray, "sets samples"], freedom: Float[np.ndarray, "sets samples"]
) -> Float[np.ndarray, "sets 1"]:
    is_usual = square <= FAR * _typical(square, freedom) * np.maximum(freedom, 1)
    summed = np.where(is_usual, square, 0.0).sum(1, keepdims=True)
    return summed / np.maximum(np.where(is_usual, freedom, 0).sum(1, keepdims=True), 1)


def _per_example(
    square: Float[np.ndarray, "sets samples"], freedom: Float[np.ndarray, "sets samples"]
) -> Float[np.ndarray, "sets samples"]:
    return np.maximum(square / np.maximum(freedom, 1), LEAST_OF_TYPICAL * _typical(square, freedom))


def _shrunken(
    square: Float[np.ndarray, "sets samples"], freedom: Float[np.ndarray, "sets samples"]
) -> Float[np.ndarray, "sets samples"]:
    """Return posterior means under the prior whose log-variances have the mean and variance of the samples'.

    The log of a chi-squared variable with f degrees of freedom, over f, has mean digamma(f / 2) - log(f / 2) and
    variance trigamma(f / 2); what the log-variances vary beyond that is the prior's.
    """
    has_freedom, index = freedom > 0, freedom.astype(int)
    half = np.maximum(np.arange(index.max() + 1), 1) / 2  # looked up below: few degrees of freedom are distinct
    typical = _typical(square, freedom)
    typical = np.where(typical > 0, typical, 1.0)
    logs = np.log(np.clip(square / np.maximum(freedom, 1), typical / FAR, typical * FAR))
    logs -= (scipy.special.digamma(half) - np.log(half))[index]
    mean = _mean(logs, has_freedom)
    prior = _inverse_trigamma(_mean((logs - mean) ** 2 - scipy.special.polygamma(1, half)[index], has_freedom))
    common = np.exp(mean + scipy.special.digamma(prior) - np.log(prior))
    return (2 * prior * common + square) / (2 * prior + freedom)


def _typical(
    square: Float[np.ndarray, "sets samples"], freedom: Float[np.ndarray, "sets samples"]
) -> Float[np.ndarray, "sets 1"]:
    """Return for each set the median variance of the samples at which references differ, 0 where they never do."""
    own = square / np.maximum(freedom, 1)
    return np.array([[_median_of_positive(row)] for row in own])


def _median_of_positive(values: Float[np.ndarray, " samples"]) -> float:
    positive = values[values > 0]
    return float(np.median(positive)) if positive.size else 0.0


def _mean(
    terms: Float[np.ndarray, "sets samples"], has_freedom: Bool[np.ndarray, "sets samples"]
) -> Float[np.ndarray, "sets 1"]:
    return np.where(has_freedom, terms, 0.0).sum(1, keepdims=True) / np.maximum(has_freedom.sum(1, keepdims=True), 1)


def _inverse_trigamma(value: Float[np.ndarray, "sets 1"]) -> Float[np.ndarray, "sets 1"]:
    """Return x with trigamma(x) = value, by Newton's method on the nearly linear 1 / trigamma (Smyth 2004)."""
    value = np.maximum(value, LEAST_EXCESS)
    x = 0.5 + 1 / value
    for _ in range(NEWTON_STEPS):
        trigamma = scipy.special.polygamma(1, x)
        x = x + trigamma * (1 - trigamma / value) / scipy.special.polygamma(2, x)
    return x


VARIANCES = {"shrunken": _shrunken, "pooled": _pooled, "per_example": _per_example}
