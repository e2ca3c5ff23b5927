"""Normal distributions fitted, sample by sample, to the signals of the references against each target.

The mean of a few references is safe, their variance is not: from two of them it is off by an order of magnitude, and
low-bit models make references that agree exactly, of variance 0. Variances are *shrunken* towards a common one (Smyth
2004): a scaled inverse chi-squared prior is fitted to the variances of all samples, and each sample's variance is the
posterior mean. In simulations of normal signals this is as good as the pooled variance where the samples' variances
are equal, better than each sample's own below 64 models, and the same from 64 models (32 references a side) on.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import digamma, polygamma

from quantmis.attacks.reference_sets import ReferenceSets, blocks
from quantmis.evidence import Evidence

LEAST_OF_POOLED = 1e-6
LEAST_OF_SCALE = 1e-12
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
    """Return the moments of centred signals of those of each set that were (not) `trained` on a sample."""
    count = against.trained if trained else against.untrained
    result = Moments(count, np.empty_like(count), np.empty_like(count))
    for block in blocks(references.shape[1]):
        terms = references[:, block] * (against.models.member[:, block] == trained)
        mean = result.mean[:, block] = against.sums(terms) / np.maximum(count[:, block], 1)
        # Centred signals keep this difference from cancelling; what is left of rounding may still be negative.
        result.square[:, block] = np.maximum(against.sums(terms**2) - count[:, block] * mean**2, 0.0)
    return result


def variance(
    square: Float[np.ndarray, "sets samples"],
    freedom: Float[np.ndarray, "sets samples"],
    signal: Float[np.ndarray, "targets samples"],
    how: str = "shrunken",
) -> Float[np.ndarray, "sets _"]:
    """Return variances from sums of squares, never 0: at least a trillionth of the mean square of all `signal`."""
    scale = float(np.vdot(signal, signal)) / signal.size
    variances = VARIANCES[how](square, freedom)
    return np.maximum(variances, LEAST_OF_SCALE * (scale or 1.0), out=variances)


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
    return square.sum(1, keepdims=True) / np.maximum(freedom.sum(1, keepdims=True), 1)


def _per_example(
    square: Float[np.ndarray, "sets samples"], freedom: Float[np.ndarray, "sets samples"]
) -> Float[np.ndarray, "sets samples"]:
    return np.maximum(square / np.maximum(freedom, 1), LEAST_OF_POOLED * _pooled(square, freedom))


def _shrunken(
    square: Float[np.ndarray, "sets samples"], freedom: Float[np.ndarray, "sets samples"]
) -> Float[np.ndarray, "sets samples"]:
    """Return posterior means under the prior whose log-variances have the mean and variance of the samples'.

    The log of a chi-squared variable with f degrees of freedom, over f, has mean digamma(f / 2) - log(f / 2) and
    variance trigamma(f / 2); what the log-variances vary beyond that is the prior's.
    """
    has_freedom, index = freedom > 0, freedom.astype(int)
    half = np.maximum(np.arange(index.max() + 1), 1) / 2  # looked up below: few degrees of freedom are distinct
    logs = np.log(_per_example(square, freedom) + (_pooled(square, freedom) == 0))
    logs -= (digamma(half) - np.log(half))[index]
    mean = _mean(logs, has_freedom)
    prior = _inverse_trigamma(_mean((logs - mean) ** 2 - polygamma(1, half)[index], has_freedom))
    common = np.exp(mean + digamma(prior) - np.log(prior))
    return (2 * prior * common + square) / (2 * prior + freedom)


def _mean(
    terms: Float[np.ndarray, "sets samples"], has_freedom: Bool[np.ndarray, "sets samples"]
) -> Float[np.ndarray, "sets 1"]:
    return np.where(has_freedom, terms, 0.0).sum(1, keepdims=True) / np.maximum(has_freedom.sum(1, keepdims=True), 1)


def _inverse_trigamma(value: Float[np.ndarray, "sets 1"]) -> Float[np.ndarray, "sets 1"]:
    """Return x with trigamma(x) = value, by Newton's method on the nearly linear 1 / trigamma (Smyth 2004)."""
    value = np.maximum(value, LEAST_EXCESS)
    x = 0.5 + 1 / value
    for _ in range(NEWTON_STEPS):
        trigamma = polygamma(1, x)
        x = x + trigamma * (1 - trigamma / value) / polygamma(2, x)
    return x


VARIANCES = {"shrunken": _shrunken, "pooled": _pooled, "per_example": _per_example}
