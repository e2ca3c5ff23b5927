"""Claims about the loss gap, against the means of members and of non-members."""

import numpy as np
import pytest

from quantmis import Evidence
from quantmis.measures import Precision, ScoredVersion
from quantmis.measures.loss_gap import loss_gap
from quantmis.stats import Bound, Estimate, Unmeasured
from quantmis.tables import LossTable, VersionTraits


def version(losses: np.ndarray, member: np.ndarray) -> ScoredVersion:
    everything = np.ones(losses.shape[1], dtype=bool)
    traits = (VersionTraits("f", 32.0, 0.0, 1, []),) * len(losses)
    table = LossTable("identity", Evidence(losses, member), None, None, "accuracy", traits, everything, ~everything)
    return ScoredVersion(table, {}, {}, Bound(Unmeasured("no attack"), ""), "lira", Precision(0.95))


def test_the_loss_gap_is_the_mean_loss_of_non_members_minus_that_of_members(rng: np.random.Generator):
    member = np.stack([half := rng.random(400) < 0.5, ~half])
    losses = rng.exponential(1.0, member.shape) + 0.5 * ~member
    gap = loss_gap(version(losses, member))
    assert isinstance(gap, Estimate)
    assert gap.value == pytest.approx(losses[~member].mean() - losses[member].mean())
    assert gap.low < 0.5 < gap.high


def test_without_non_members_there_is_a_reason_and_no_number():
    assert isinstance(loss_gap(version(np.ones((1, 8)), np.ones((1, 8), dtype=bool))), Unmeasured)
