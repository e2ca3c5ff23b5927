"""LiRA on several versions at once (after Carlini, Chien, Nasr, Song, Terzis & Tramer 2022), for all targets together.

At each sample the signals under all versions are one vector. Those of the references that were trained on the sample,
and those of the others, are taken for normal with one covariance, and the score is the log-likelihood ratio. Of ten
versions and thirty references a side a covariance of its own would be mostly chance, so each is *shrunken*: variances
as in LiRA (`quantmis.attacks.moments`), one for both sides, and correlations to those that all samples have in common;
and the gap between the two means is drawn, in the directions in which versions err independently, towards the usual one
by as much as gaps vary beyond their own errors. With the twin of a target left out, as everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from quantmis.attacks.moments import LARGEST_GAP, Moments, centred, moments, variance
from quantmis.attacks.reference_sets import ReferenceSets, reference_sets
from quantmis.evidence import Evidence

RIDGE = 1e-3
"""Added to the correlations of versions, so that two that are all but the same version make no direction of chance."""

NAME = "joint_lira"


@dataclass(frozen=True, eq=False)
class JointLikelihoodRatio:
    """Hold what was fitted to the versions of a release set, for scores of all of them or of some.

    `signal` and, for each set of references, the `middle` of the two means, their `gap` and the standard deviation
    `scale` of every version; `error`: the variance of a gap in standard deviations; `correlation` of versions.
    """

    signal: Float[np.ndarray, "versions targets samples"]
    middle: Float[np.ndarray, "versions sets samples"]
    gap: Float[np.ndarray, "versions sets samples"]
    scale: Float[np.ndarray, "versions sets samples"]
    error: Float[np.ndarray, "sets samples"]
    lopsided: Float[np.ndarray, "sets samples"]
    correlation: Float[np.ndarray, "sets versions versions"]
    of: Int[np.ndarray, " targets"]

    @classmethod
    def fit(cls, targets: Sequence[Evidence], references: Sequence[Evidence] | None = None) -> "JointLikelihoodRatio":
        """Fit aligned tables, one for each version; `references` are the attacker's own models, else each other.

        Raises `UserError` for fewer than 2 references trained on each sample and 2 not, besides target and twin.
        """
        against = reference_sets(targets[0], None if references is None else references[0])
        against.require(NAME, trained=2, untrained=2)
        sides = [_Sides.of(target, _among(against, index, targets, references)) for index, target in enumerate(targets)]
        trained, untrained = np.maximum(against.trained, 1), np.maximum(against.untrained, 1)
        return cls(
            signal=np.stack([each.signal for each in sides]),
            middle=np.stack([(each.inside.mean + each.outside.mean) / 2 for each in sides]),
            gap=np.stack([each.inside.mean - each.outside.mean for each in sides]),
            scale=np.stack([each.scale for each in sides]),
            error=1 / trained + 1 / untrained,
            lopsided=0.5 - trained / (trained + untrained),
            correlation=_correlations(sides, against),
            of=against.of,
        )

    def scores(self, among: Sequence[int] | None = None) -> Float[np.ndarray, "targets samples"]:
        """Return the log-likelihood ratios given the versions `among` these, by number; by default all."""
        index = np.arange(len(self.signal)) if among is None else np.array(among)
        root = np.linalg.cholesky(self.correlation[:, index[:, None], index] + RIDGE * np.eye(len(index)))
        scale = np.moveaxis(self.scale[index], 0, -1)
        gap = np.moveaxis(self.gap[index], 0, -1) / scale
        whitened = np.linalg.inv(root)
        posterior = _posterior_gaps(gap @ whitened.swapaxes(1, 2), self.error)
        moved = (posterior @ root.swapaxes(1, 2) - gap) * scale * self.lopsided[..., None]
        weight = (posterior @ whitened) / scale
        scores = np.zeros(self.signal.shape[1:])
        for place, version in enumerate(index):
            middle = self.middle[version] + moved[..., place]
            scores += (self.signal[version] - middle[self.of]) * weight[self.of, :, place]
        return scores


@dataclass(frozen=True, eq=False)
class _Sides:
    """Hold one version: signals of targets and of references, moments of the two sides, their common deviation."""

    signal: Float[np.ndarray, "targets samples"]
    references: Float[np.ndarray, "references samples"]
    inside: Moments
    outside: Moments
    scale: Float[np.ndarray, "sets samples"]

    @classmethod
    def of(cls, target: Evidence, against: ReferenceSets) -> "_Sides":
        signal, references = centred(target, against)
        inside, outside = (moments(references, against, trained) for trained in (True, False))
        both = variance(inside.square + outside.square, inside.freedom + outside.freedom, signal)
        return cls(signal, references, inside, outside, np.sqrt(both))


def _among(
    against: ReferenceSets, index: int, targets: Sequence[Evidence], references: Sequence[Evidence] | None
) -> ReferenceSets:
    """Return the same sets of references under another version."""
    return replace(against, models=targets[index] if references is None else references[index])


def _correlations(sides: Sequence[_Sides], against: ReferenceSets) -> Float[np.ndarray, "sets versions versions"]:
    """Return how versions err alike: the mean over samples and both sides of the correlation among references."""
    sets, count = sides[0].scale.shape[0], len(sides)
    joint = np.tile(np.eye(count), (sets, 1, 1))
    for first in range(count):
        for second in range(first):
            both = [_correlation(sides[first], sides[second], against, trained) for trained in (True, False)]
            joint[:, first, second] = joint[:, second, first] = np.mean(both, axis=0)
    return joint


def _correlation(one: _Sides, other: _Sides, against: ReferenceSets, trained: bool) -> Float[np.ndarray, " sets"]:
    first, second = (each.inside if trained else each.outside for each in (one, other))
    together = one.references * other.references * (against.models.member == trained)
    products = against.sums(together) - first.count * first.mean * second.mean
    spread = np.sqrt(first.square * second.square)
    return np.divide(products, spread, out=np.zeros_like(products), where=spread > 0).clip(-1, 1).mean(1)


def _posterior_gaps(
    gap: Float[np.ndarray, "sets samples versions"], error: Float[np.ndarray, "sets samples"]
) -> Float[np.ndarray, "sets samples versions"]:
    """Return gaps, whose errors are independent, drawn towards the usual one: the posterior mean under a normal prior.

    The prior has the mean and the covariance that the gaps of all samples show beyond their own errors.
    """
    bounded = np.clip(gap, -LARGEST_GAP, LARGEST_GAP)
    usual = bounded.mean(1, keepdims=True)
    apart = bounded - usual
    own = error.mean(1)[:, None, None] * np.eye(gap.shape[2])
    excess, directions = np.linalg.eigh(apart.swapaxes(1, 2) @ apart / gap.shape[1] - own)
    excess = np.maximum(excess, 0.0)[:, None, :]
    return usual + ((gap - usual) @ directions * (excess / (excess + error[..., None]))) @ directions.swapaxes(1, 2)
