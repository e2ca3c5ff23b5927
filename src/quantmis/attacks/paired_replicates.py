"""Paired replicates (this project): the signal of a model less that of its twin, trained on exactly the other samples.

Every sample is a member of one of the two, so its difficulty leaves the difference, and two models suffice. But it
knows what the twin was trained on: it *measures exposure* so that quantizers can be ranked, and is no attack in
the sense of membership inference security. It must never enter the upper bound on security.

**Exposure** is the number to rank quantizers by when there are few models. Between twins the probability exp(-loss) of
each sample moves; some of it moves towards the twin that was trained on the sample, the rest against it. Exposure is
the net movement towards membership over all movement: 0 where nothing leaks, 1 where every probability rises with
membership. It is a difference of rates weighted by the size of the movement, so that the many samples at which both
twins agree add no noise, and nothing in it is fitted. Losses whose median exceeds 1, which leave no probability, are
divided by it. How well it orders quantizers, and what the other numbers do: benchmarks/RESULTS.md, section fidelity.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy
from jaxtyping import Float

from quantmis.attacks.base import ATTACKS, Attack
from quantmis.errors import require
from quantmis.evidence import NO_TWIN, Evidence
from quantmis.stats import Estimate
from quantmis.stats.cluster import Linear, pair_id, spread
from quantmis.stats.groups import numbers_of, units_of
from quantmis.stats.interval import quantile, wilson
from quantmis.stats.metrics import clustering
from quantmis.stats.roc import auc, tally

SHARPER = 0.1
"""How much sharper 64 shadow models see than twins, per deviation between members and others: fitted on development
problems."""


@ATTACKS.add
@dataclass(frozen=True)
class PairedReplicates(Attack):
    """Score by the signal of a model less the signal of its twin; `reference` is not used.

    Raises `UserError` where a model has no twin.

    >>> table = Evidence(np.array([[0.1, 2.0], [1.5, 0.5]]), np.array([[True, False], [False, True]]))
    >>> PairedReplicates().score(table).tolist()
    [[1.4, -1.5], [-1.4, 1.5]]
    >>> round(PairedReplicates().exposure(table).value, 3)  # every probability rises with membership
    1.0
    """

    name: ClassVar[str] = "paired_replicates"
    description: ClassVar[str] = (
        "Paired replicates: compares two models, each trained on the half that the other did not see. It is "
        "told more than an attacker would know, so it orders versions and does not count in how often an "
        "attacker is right."
    )
    uses_references: ClassVar[bool] = False
    bounds_security: ClassVar[bool] = False

    def compute(self, target: Evidence, reference: Evidence | None) -> Float[np.ndarray, "models samples"]:
        """Return the differences between twins."""
        return _between_twins(target, target.signals)

    def movement(self, table: Evidence) -> Linear:
        """Return the exposure and its influences, by which the exposures of two quantizers can be compared.

        0 where no probability moves at all. Raises `UserError` where a model has no twin.
        """
        change = _between_twins(table, _probability(table.losses.astype(float)))
        towards, size = np.where(table.member, change, -change), np.abs(change)
        whole = float(size.sum()) or 1.0
        value = float(towards.sum()) / whole
        return Linear(value, (towards - value * size) / whole)

    def area(self, table: Evidence) -> Linear:
        """Return the AUC of differences of signals between twins, and its influences: what orders are stated by.

        Unlike the exposure it stays the same where outputs are rescaled, and nearly so where classes are moved against
        each other, so that a version which merely looks otherwise is not told from its equal. Raises `UserError` where
        a model has no twin.
        """
        return auc(tally(_between_twins(table, table.signals.astype(float)), table.member), table.member)

    def exposure(self, table: Evidence, level: float = 0.95) -> Estimate:
        """Return the net movement of probability towards membership, over all movement, with its interval.

        Between -1 and 1; 0 where nothing leaks. It ranks quantizers and is not the advantage of an attacker. From one
        pair the interval is about these two models: how much trainings differ is not measurable with one pair. It is
        that of a proportion, narrower towards the ends, since few models near an end err towards the middle.
        """
        net = self.movement(table)
        numbers = numbers_of(table.groups, table.samples)
        over = spread(net.influence / 2, pair_id(table.member), numbers)
        share = min(max((1 + net.value) / 2, 0.0), 1.0)  # of all movement, how much is towards membership
        low, high = (2 * end - 1 for end in wilson(share, over, level, units_of(numbers, table.samples)))
        return Estimate(
            net.value,
            min(low, net.value),
            max(high, net.value),
            level,
            "net movement between twins; " + clustering(over, table.groups is not None),
        )

    def advantage(self, table: Evidence, level: float = 0.95) -> Estimate:
        """Return the advantage that LiRA or RMIA with 64 shadow models would have, predicted from twins alone.

        The AUC a of loss differences between twins is that of two normals z = Phi^-1(a) standard deviations of one
        model apart; an attacker with shadow models tells them apart 1 + `SHARPER` z times as well. The interval is that
        of a; the prediction itself misses by about 0.02 more (benchmarks/RESULTS.md, section fidelity).
        """
        area = auc(tally(_between_twins(table, -table.losses.astype(float)), table.member), table.member)
        over = spread(area.influence, pair_id(table.member), numbers_of(table.groups, table.samples))
        reach = quantile(level, over.freedom) * float(np.sqrt(over.variance))
        value, low, high = (_advantage(area.value + step) for step in (0.0, -reach, reach))
        return Estimate(value, low, high, level, "predicted from twins; " + clustering(over, table.groups is not None))


def _probability(losses: Float[np.ndarray, "models samples"]) -> Float[np.ndarray, "models samples"]:
    """Return exp(-loss), in units of the median loss where that exceeds 1; negative losses count from the least."""
    above = losses - min(float(losses.min()), 0.0)
    return np.exp(-above / max(float(np.median(above)), 1.0))


def _advantage(of_area: float) -> float:
    """Return the advantage between two normals of which twins have that AUC; never below 0."""
    apart = scipy.special.ndtri(min(max(of_area, 0.5), 1.0))
    return float(2 * scipy.special.ndtr(apart * (1 + SHARPER * apart) / 2) - 1)


def _between_twins(
    table: Evidence, signals: Float[np.ndarray, "models samples"]
) -> Float[np.ndarray, "models samples"]:
    alone = np.flatnonzero(table.twin == NO_TWIN)
    require(
        len(alone) == 0,
        f"paired_replicates needs models in complementary pairs; {len(alone)} of {table.models} have no twin",
        hint="train a second model on exactly the samples that the first was not trained on",
    )
    return signals - signals[table.twin]
