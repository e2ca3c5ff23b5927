"""Normal distributions fitted, sample by sample, to the signals of the references against each target.

The mean of a few references is safe, their variance is not: from two of them it is off by an order of magnitude, and
low-bit models make references that agree exactly, of variance 0. Variances are *shrunken* towards the common one:
an inverse-gamma prior is fitted to the variances of all samples by its first two moments, and each sample's variance
is the posterior mean. Where the samples' true variances hardly differ this is the pooled variance; where they differ
much, or where there are many references, it is the sample's own.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from quantmis.attacks.others import Others
from quantmis.evidence import Evidence

LEAST_OF_POOLED = 1e-6
LEAST_OF_SCALE = 1e-12


@dataclass(frozen=True, eq=False)
class Normal:
    """Hold targets' signals and, for each set of references, a normal distribution per sample.

    `variance` has one column where it is common to all samples; `of` maps target rows to sets.
    """

    signal: Float[np.ndarray, "targets samples"]
    mean: Float[np.ndarray, "sets samples"]
    variance: Float[np.ndarray, "sets _"]
    of: Int[np.ndarray, " targets"]

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


def fit(target: Evidence, against: Others, chosen: Bool[np.ndarray, "references samples"], how: str) -> Normal:
    """Fit the `chosen` references of each set; `how` is "shrunken", "pooled" or "per_example"."""
    signal, references = centred(target, against)
    found = moments(references, against, chosen)
    return Normal(signal, found.mean, variance(found.square, found.freedom, signal, how), against.of)


def moments(
    references: Float[np.ndarray, "references samples"], against: Others, chosen: Bool[np.ndarray, "references samples"]
) -> Moments:
    """Return the moments of the `chosen` ones of each set of centred signals."""
    terms = np.where(chosen, references, 0.0)
    count = against.counts(chosen)
    mean = against.sums(terms) / np.maximum(count, 1)
    # Centred signals keep this difference from cancelling; what is left of rounding may still be negative.
    return Moments(count, mean, np.maximum(against.sums(terms**2) - count * mean**2, 0.0))


def variance(
    square: Float[np.ndarray, "sets samples"],
    freedom: Float[np.ndarray, "sets samples"],
    signal: Float[np.ndarray, "targets samples"],
    how: str = "shrunken",
) -> Float[np.ndarray, "sets _"]:
    """Return variances from sums of squares, never 0: at least a trillionth of the mean square of all `signal`."""
    least = LEAST_OF_SCALE * (float(np.square(signal).mean()) or 1.0)
    return np.maximum(VARIANCES[how](square, freedom), least)


def centred(
    target: Evidence, against: Others
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
    """Return posterior means under the prior whose first two moments are those of the samples' variances.

    With E s^2 = m and E s^4 = q (unbiased from sums of squares: q = E square^2 / f (f + 2)), an inverse gamma of
    shape k + 1 has q / m^2 = k / (k - 1), so k = r / (r - 1) for r = q / m^2.
    """
    mean = _pooled(square, freedom)
    fourth = (square**2).sum(1, keepdims=True) / np.maximum((freedom * (freedom + 2)).sum(1, keepdims=True), 1)
    ratio = fourth / np.where(mean > 0, mean**2, 1.0)
    strength = 2 * ratio / np.maximum(ratio - 1, 1e-9)
    return (strength * mean + square) / (strength + freedom + (strength == 0))


VARIANCES = {"shrunken": _shrunken, "pooled": _pooled, "per_example": _per_example}
