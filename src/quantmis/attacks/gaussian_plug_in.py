"""Gaussian plug-in (this project): how far a sample's signal moves when it is a member, for normal signals.

For each sample the signals with and without it are taken for two normals of one variance. Their total variation is
the advantage that the signal of that sample offers; its mean over samples estimates, with little noise, what an
attacker can get out of losses. As an attack it is LiRA with one variance for both sides: half the parameters, so that
few references suffice, and no reward for a mere difference in spread.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int

from quantmis.attacks.base import ATTACKS, Attack
from quantmis.attacks.moments import centred, moments, variance
from quantmis.attacks.reference_sets import ReferenceSets, reference_sets
from quantmis.errors import require
from quantmis.evidence import Evidence
from quantmis.stats import Estimate
from quantmis.stats.cluster import pair_id, spread
from quantmis.stats.interval import wilson

FOLDS = 4


@ATTACKS.add
@dataclass(frozen=True)
class GaussianPlugIn(Attack):
    """Score by the likelihood ratio of two normals of one variance, which is shrunken as in LiRA.

    Raises `UserError` for fewer than 2 references trained on each sample and 2 not, besides the target and its twin.

    >>> draw = np.random.default_rng(0)
    >>> half = draw.permuted(np.tile(np.arange(100) < 50, (8, 1)), axis=1)
    >>> member = np.stack([half, ~half], axis=1).reshape(16, 100)
    >>> table = Evidence(draw.normal(size=100) + draw.normal(size=(16, 100)) - member, member)
    >>> estimate = GaussianPlugIn().advantage(table)  # the truth is 2 Phi(1/2) - 1 = 0.383
    >>> bool(estimate.low < 0.383 < estimate.high), GaussianPlugIn().score(table).shape
    (True, (16, 100))
    """

    name: ClassVar[str] = "gaussian_plug_in"
    description: ClassVar[str] = (
        "Gaussian plug-in: computes from the spread of losses with and without a record how well the best "
        "threshold could do."
    )
    uses_references: ClassVar[bool] = True

    def compute(self, target: Evidence, reference: Evidence | None) -> Float[np.ndarray, "models samples"]:
        """Return the log-likelihood ratios."""
        against = reference_sets(target, reference)
        against.require(self.name, trained=2, untrained=2)
        signal, references = centred(target, against)
        rule = _rule(signal, references, against)
        return (signal - rule.middle[against.of]) * (rule.gap / rule.variance)[against.of]

    def advantage(self, table: Evidence, level: float = 0.95) -> Estimate:
        """Return the mean over samples of the total variation between signals with and without the sample.

        The side of each sample's threshold is learned from some of the models and its advantage measured on the
        others, in turn, so that noise does not count as advantage. Raises `UserError` for fewer than 8 models.
        """
        cluster = pair_id(table.member)
        require(
            cluster.max() >= FOLDS - 1,
            f"the Gaussian plug-in needs at least {FOLDS} independent groups of models, got {cluster.max() + 1}",
            hint=f"train at least {2 * FOLDS} models in complementary pairs",
        )
        advantages = np.stack(list(_held_out(table, cluster)))
        value = min(max(float(advantages.mean()), 0.0), 1.0)
        over = spread((advantages - advantages.mean()) / advantages.size, np.arange(len(advantages)))
        low, high = wilson(value, over, level, units=table.samples)
        return Estimate(value, low, high, level, "normal signals; measured on models that chose no threshold")


@dataclass(frozen=True, eq=False)
class _Rule:
    middle: Float[np.ndarray, "sets samples"]
    gap: Float[np.ndarray, "sets samples"]
    variance: Float[np.ndarray, "sets _"]


def _rule(
    signal: Float[np.ndarray, "targets samples"],
    references: Float[np.ndarray, "references samples"],
    against: ReferenceSets,
) -> _Rule:
    inside, outside = (moments(references, against, trained) for trained in (True, False))
    common = variance(inside.square + outside.square, inside.freedom + outside.freedom, signal)
    return _Rule((inside.mean + outside.mean) / 2, inside.mean - outside.mean, common)


def _held_out(table: Evidence, cluster: Int[np.ndarray, " models"]) -> Iterator[Float[np.ndarray, " samples"]]:
    """Yield, for each fold of models, the advantage at each sample of the rule that the other models give."""
    for fold in range(FOLDS):
        is_held_out = cluster % FOLDS == fold
        against = reference_sets(table.rows(is_held_out), table.rows(~is_held_out))
        against.require("the Gaussian plug-in", trained=2, untrained=2)
        signal, references = centred(table.rows(is_held_out), against)
        rule = _rule(signal, references, against)
        inside, outside = (
            _beyond(signal, side, rule) for side in (table.member[is_held_out], ~table.member[is_held_out])
        )
        yield np.where(rule.gap[0] > 0, inside - outside, outside - inside)


def _beyond(
    signal: Float[np.ndarray, "models samples"], side: Bool[np.ndarray, "models samples"], rule: _Rule
) -> Float[np.ndarray, " samples"]:
    """Return the probability that a signal like those of `side` exceeds the middle, unbiased for normal signals.

    A mean of n signals has itself variance v / n; so what is left for the normal around it is v (1 - 1 / n).
    """
    count = side.sum(0)
    require(count.min() > 0, "the Gaussian plug-in needs members and non-members of each sample among any quarter")
    mean = np.where(side, signal, 0.0).sum(0) / count
    deviation = np.sqrt(rule.variance[0] * (1 - 1 / count))
    apart = mean - rule.middle[0]
    return np.where(
        deviation > 0, scipy.special.ndtr(apart / np.where(deviation > 0, deviation, 1.0)), (np.sign(apart) + 1) / 2
    )
