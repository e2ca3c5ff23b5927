"""Claims about the limits of a search: which of a policy's it judges, how they are missed, and what comes nearest."""

import numpy as np
import pytest

from quantmis.attacks import PairedReplicates
from quantmis.evidence import Evidence
from quantmis.gate.policy import Policy, parse
from quantmis.search.confirming import nearest
from quantmis.search.judging import Judge, Judged
from quantmis.search.limits import LOSS, limits_of
from quantmis.search.study import Tried
from quantmis.stats import Estimate
from quantmis.tables import LossTable, VersionTraits

POLICY = b"""
[limits]
attack_accuracy_at_most = 0.6
utility_change_at_least = -0.03
bits_per_weight_at_most = 4.0
epsilon_lower_bound_at_most = 1.0

[[limits.tpr]]
at_fpr = 0.01
at_most = 0.05

[evidence]
shadows_at_least = 64
"""


def policy() -> Policy:
    return parse(POLICY)


def table(leak: float, right: float, bits: float) -> LossTable:
    """Return four models of 400 samples, the last half held out; members' losses are lower by `leak`."""
    draw, samples = np.random.default_rng(3), 400
    halves = np.stack([draw.permutation(np.arange(200) < 100) for _ in range(2)])
    member = np.zeros((4, samples), dtype=bool)
    member[:, :200] = np.stack([halves[0], ~halves[0], halves[1], ~halves[1]])
    losses = 3 + draw.normal(size=(4, samples)) - leak * member
    utility = (np.arange(samples) < 200 + 200 * right).astype(float)
    is_audited = np.arange(samples) < 200
    traits = tuple(VersionTraits(f"{leak}{index}", bits, 0.0, 10, []) for index in range(4))
    name = "identity" if bits == 32 else f"uniform(bits={bits})"
    worth = np.tile(utility, (4, 1))
    return LossTable(name, Evidence(losses, member), worth, None, "accuracy", traits, is_audited, ~is_audited)


def test_limits_that_a_few_pairs_show_are_judged_and_the_others_are_named():
    limits, not_judged = limits_of(policy(), None)
    assert [each.key for each in limits] == [
        *("attack_accuracy_at_most", "bits_per_weight_at_most", "utility_change_at_least")
    ]
    assert not_judged == ["epsilon_lower_bound_at_most", "tpr at 0.01", "evidence.shadows_at_least"]


def test_without_a_limit_on_utility_there_is_one_all_the_same():
    [only], none = limits_of(None, None)
    assert (only.key, only.threshold, none) == ("utility_change_at_least", -LOSS, [])
    assert limits_of(policy(), 0.01)[0][-1].threshold == -0.01
    assert limits_of(policy(), 0.5)[0][-1].threshold == -0.03


def test_a_limit_is_missed_by_the_difference():
    limits, _ = limits_of(policy(), None)
    judge = Judge(table(2.0, 0.9, 32), limits, 0.95, 0)
    judged = judge.judged(table(1.5, 0.8, 5))
    assert judged.utility.value == pytest.approx(0.8)
    assert judged.change.value == pytest.approx(-0.1)
    assert judged.shortfalls["utility_change_at_least"] == pytest.approx(0.07)
    assert judged.shortfalls["bits_per_weight_at_most"] == pytest.approx(1.0)
    assert judged.shortfalls["attack_accuracy_at_most"] == pytest.approx((1 + judged.exposure.value) / 2 - 0.6)
    assert not judged.is_within
    assert judge.baseline.change.value == 0


def test_the_larger_of_two_estimates_of_exposure_counts():
    judge = Judge(table(2.0, 0.9, 32), (), 0.95, 0)
    spared = table(1.0, 0.9, 4)  # what changes between trainings passes whole, and membership by half
    judged = judge.judged(spared)
    assert judged.exposure.value == pytest.approx(judge.baseline.exposure.value)
    assert "after rho" in judged.exposure.method
    twins = PairedReplicates().advantage(spared.audited)
    assert twins.high < judged.exposure.value
    leaky = judge.judged(table(3.0, 0.9, 4)).exposure
    assert leaky.value == pytest.approx(PairedReplicates().advantage(table(3.0, 0.9, 4).audited).value)
    assert "twins" in leaky.method


def tried(number: int, **shortfalls: float) -> Tried:
    number_of = Estimate(0.5, 0.4, 0.6)
    return Tried(number, f"version {number}", Judged(number_of, number_of, number_of, 4.0, shortfalls))


def test_what_comes_nearest_misses_the_fewest_limits_by_the_least():
    limits, _ = limits_of(policy(), None)
    both = tried(0, attack_accuracy_at_most=0.001, bits_per_weight_at_most=0.001)
    far = tried(1, attack_accuracy_at_most=-0.1, bits_per_weight_at_most=2.0)
    near = tried(2, attack_accuracy_at_most=0.06, bits_per_weight_at_most=-1.0)  # a tenth of what is asked, not a half
    assert nearest([both, far, near], limits) is near
