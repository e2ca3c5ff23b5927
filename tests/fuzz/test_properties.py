"""What holds for every table: attacks score, numbers lie in their intervals, or a `UserError` says why not.

Tables are small, with ties, constants, tiny and huge losses: what real tables hold least often and code fears most.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from quantmis.attacks import ATTACKS, PairedReplicates
from quantmis.attacks.text_signal import TextSignal
from quantmis.errors import UserError
from quantmis.evidence import Evidence
from quantmis.stats import Estimate, Unmeasured, compare, evaluate, holm, security_upper_bound
from quantmis.stats.average import average
from quantmis.stats.cluster import pair_id, spread
from quantmis.stats.heldout import halves
from quantmis.stats.interval import clopper_pearson, wilson
from quantmis.stats.ranking import kendall, probability_more_private, ranking
from quantmis.theory import chernoff_rate, gaussian_rate, indicator, security
from quantmis.theory.candidates import FEWEST_POINTS

# beartype, which checks types in tests, chooses by Python's own stream which items of a list it looks at
pytestmark = pytest.mark.filterwarnings(
    "ignore:Do not use the `random` module inside strategies", "ignore:Generating overly large repr"
)
CERTAIN = 1e12
"""A rate above it is that of a gap that hardly varies, where rounding decides."""

FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
VERY_FEW = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NUMBERS = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 1e-300, 1e-9, 700.0, 1e6]), st.floats(-100, 100, allow_nan=False, width=32)
)


@st.composite
def members(draw: st.DrawFn, pairs: int = 6, samples: int = 24) -> np.ndarray:
    """Draw complementary halves."""
    stream = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    half = stream.permuted(np.tile(np.arange(samples) < samples // 2, (pairs, 1)), axis=1)
    return np.stack([half, ~half], axis=1).reshape(2 * pairs, samples)


@st.composite
def tables(draw: st.DrawFn) -> Evidence:
    """Draw a table whose entries tie, are constant, tiny or huge."""
    member = draw(members())
    stream = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    some = np.array(draw(st.lists(NUMBERS, min_size=1, max_size=6)))
    losses = some[stream.integers(len(some), size=member.shape)] * draw(st.sampled_from([1e-6, 1.0, 1e3]))
    label = stream.integers(draw(st.integers(1, 3)), size=member.shape[1])
    named = {name: -losses for name in ATTACKS.names() if issubclass(ATTACKS.find(name), TextSignal)}
    return Evidence(losses, member, entropy=losses, label=label, named=named)


@st.composite
def candidates(draw: st.DrawFn) -> np.ndarray:
    """Draw the losses of a few candidates on as many points as the theory needs, some rows equal."""
    stream = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.integers(2, 6))
    losses = stream.normal(size=(rows, FEWEST_POINTS)) * draw(st.sampled_from([0.0, 1e-9, 1.0, 1e6]))
    losses += draw(arrays(float, (rows, 1), elements=st.sampled_from([0.0, 1.0, -3.0, 1e-12])))
    return losses[stream.integers(rows, size=rows)]


def is_honest(found: Estimate | Unmeasured, least: float = 0.0, most: float = 1.0) -> bool:
    if isinstance(found, Unmeasured):
        return bool(found.reason)
    return least <= found.low <= found.value <= found.high <= most


@FEW
@given(tables(), st.sampled_from(ATTACKS.names()))
def test_every_attack_scores_every_table(table: Evidence, name: str):
    scores = ATTACKS.parse(name).score(table)
    assert scores.shape == table.losses.shape
    assert np.isfinite(scores).all()


@FEW
@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_samples_never_matters(table: Evidence, chance):
    order = list(range(table.samples))
    chance.shuffle(order)
    for name in ("loss_threshold", "calibrated", "paired_replicates", "lira"):
        attack = ATTACKS.parse(name)
        there, back = attack.score(table.columns(np.array(order))), attack.score(table)[:, order]
        np.testing.assert_allclose(there, back, rtol=1e-6, atol=1e-6 * (1 + np.abs(back).max()))


def test_references_that_agree_but_for_rounding_have_no_variance():
    """Their order must not matter either: what rounding leaves depends on it, and is no variance."""
    generator = np.random.default_rng(0)
    attack = ATTACKS.parse("lira")
    for _ in range(40):
        losses = generator.choice([0.0, 1e-15, 4.37e-7], size=(12, 24))
        first = generator.random((6, 24)) < 0.5
        member = np.stack([first, ~first], axis=1).reshape(12, 24)
        few = np.minimum(member.sum(0), (~member).sum(0)) >= 4
        table, order = Evidence(losses[:, few], member[:, few]), generator.permutation(int(few.sum()))
        there, back = attack.score(table.columns(order)), attack.score(table)[:, order]
        np.testing.assert_allclose(there, back, rtol=1e-6, atol=1e-6 * (1 + np.abs(back).max()))


@FEW
@given(tables())
def test_every_metric_lies_in_its_interval(table: Evidence):
    found = evaluate(-table.losses, table.member)
    assert all(is_honest(each) for each in (found.auc, found.advantage, found.balanced_accuracy, *found.tpr.values()))
    assert is_honest(found.epsilon_low, -np.inf, np.inf)
    bound = security_upper_bound({"loss": -table.losses}, table.member).security
    assert is_honest(bound)


@FEW
@given(tables())
def test_exposure_and_predicted_advantage_lie_in_their_intervals(table: Evidence):
    assert is_honest(PairedReplicates().exposure(table), -1, 1)
    assert is_honest(PairedReplicates().advantage(table))


@FEW
@given(tables())
def test_exchanging_members_and_others_turns_the_exposure_round(table: Evidence):
    other = table.relabelled(~table.member)
    assert PairedReplicates().exposure(other).value == pytest.approx(-PairedReplicates().exposure(table).value)


@FEW
@given(tables())
def test_a_comparison_with_itself_finds_no_difference(table: Evidence):
    [pair] = compare({"one": -table.losses, "two": -table.losses}, table.member)
    assert (pair.estimate.value, pair.adjusted) == (0.0, 1.0)


@FEW
@given(members(), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1e-12, 1.0, 1e12]))
def test_a_clustered_variance_is_never_negative(member: np.ndarray, seed: int, scale: float):
    over = spread(scale * np.random.default_rng(seed).normal(size=member.shape), pair_id(member))
    assert over.variance >= 0
    assert over.freedom >= 1


@FEW
@given(tables())
def test_halves_take_each_sample_once(table: Evidence):
    half = halves(table.losses, table.member)
    assert abs(int(half.sum()) - table.samples / 2) <= 1


@FEW
@given(arrays(float, (7, 9), elements=st.floats(-1e6, 1e6)), members(pairs=3, samples=8))
def test_an_average_lies_in_its_interval(values: np.ndarray, member: np.ndarray):
    found = average(values[:6], member, 0.95)
    assert found.low <= found.value <= found.high


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(p_values: list[float]):
    adjusted = holm(p_values)
    assert (adjusted >= np.array(p_values)).all()
    assert (adjusted <= 1).all()
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()


@given(st.integers(0, 50), st.integers(1, 50), st.floats(0.01, 0.99))
def test_exact_intervals_hold_the_proportion(successes: int, failures: int, level: float):
    low, high = clopper_pearson(successes, successes + failures, level)
    assert 0 <= low <= successes / (successes + failures) <= high <= 1


@FEW
@given(members(), st.floats(0, 1), st.floats(0.01, 0.99))
def test_wilson_intervals_hold_the_proportion(member: np.ndarray, value: float, level: float):
    over = spread(np.where(member, 0.1, -0.1) / member.size, pair_id(member))
    low, high = wilson(value, over, level, units=member.shape[1])
    assert 0 <= low <= value <= high <= 1


@given(arrays(float, (2, 6), elements=st.floats(-10, 10)))
def test_kendall_is_symmetric_and_turns_round(values: np.ndarray):
    assume((np.ptp(values, axis=1) > 0).all())
    one, two = values
    tau = kendall(one, two).value
    assert tau == pytest.approx(kendall(two, one).value)
    assert tau == pytest.approx(-kendall(one, -two).value)
    assert -1 - 1e-12 <= tau <= 1 + 1e-12


@given(arrays(float, (20, 4), elements=st.floats(-5, 5)))
def test_two_quantizers_are_never_each_more_private(draws: np.ndarray):
    probability = probability_more_private(draws)
    np.testing.assert_allclose(probability + probability.T, 1.0)
    order = ranking(draws)
    assert not (order.separated & order.separated.T).any()
    assert sorted(index for group in order.groups for index in group) == list(range(4))


@FEW
@given(candidates())
def test_rates_are_never_negative_and_forget_what_all_candidates_share(losses: np.ndarray):
    shared = np.random.default_rng(0).normal(size=losses.shape[1])
    for rate in (gaussian_rate, chernoff_rate):
        try:
            found = rate(losses)
        except UserError:
            continue
        assert found >= 0
        if found < CERTAIN and np.ptp(losses) > 1e-6:
            assert rate(losses + shared) == pytest.approx(found, rel=1e-3, abs=1e-9)


@VERY_FEW
@given(candidates(), st.sampled_from(["pairs", "min", "median"]))
def test_the_indicator_lies_in_its_interval_or_says_why_not(losses: np.ndarray, aggregate: str):
    try:
        assert is_honest(indicator(losses, aggregate=aggregate), 0.0, np.inf)
    except UserError as error:
        assert error.hint or "distinct" in str(error)  # noqa: PT017


@VERY_FEW
@given(candidates(), st.sampled_from([1, 10, 1000]))
def test_security_lies_in_its_interval_or_says_why_not(losses: np.ndarray, n: int):
    try:
        assert is_honest(security(losses, n, draws=2000))
    except UserError as error:
        assert str(error)  # noqa: PT017
