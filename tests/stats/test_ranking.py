import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import kendalltau

from quantmis.errors import UserError
from quantmis.seeds import generator
from quantmis.stats import Estimate
from quantmis.stats.ranking import (
    kendall,
    kendall_where_apart,
    probability_more_private,
    ranking,
)

TIED = arrays(float, 8, elements=st.integers(0, 4).map(float)).filter(lambda values: np.ptp(values) > 0)


@settings(max_examples=50, deadline=None)
@given(TIED, TIED)
def test_tau_is_that_of_scipy_ties_included(first, second):
    assert kendall(first, second).value == pytest.approx(kendalltau(first, second).statistic, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(TIED, st.permutations(range(8)))
def test_tau_does_not_depend_on_the_order_of_quantizers(values, order):
    other = np.arange(8.0) ** 2
    assert kendall(values[order], other[order]).value == pytest.approx(kendall(values, other).value)


@pytest.mark.parametrize(("correlation", "quantizers"), [(0.0, 10), (0.5, 12), (0.8, 20)])
def test_the_interval_of_tau_covers_other_quantizers(correlation, quantizers):
    truth, stream, covered = 2 / np.pi * np.arcsin(correlation), generator(1, "tau", quantizers), []
    for _ in range(500):
        first, noise = stream.normal(size=(2, quantizers))
        estimate = kendall(first, correlation * first + np.sqrt(1 - correlation**2) * noise)
        covered.append(estimate.low <= truth <= estimate.high)
    assert 0.92 <= np.mean(covered) <= 0.99


def test_four_quantizers_say_nothing_about_others():
    estimate = kendall(np.arange(4.0), np.arange(4.0))
    assert (estimate.low, estimate.value, estimate.high) == (-1.0, 1.0, 1.0)


def test_paired_noise_does_not_blur_an_order():
    shared = generator(3, "shared").normal(size=(500, 1))
    draws = 10 * shared + np.array([0.0, 1.0, 2.0])
    assert ranking(draws).rank.tolist() == [3, 2, 1]


def test_quantizers_that_the_data_cannot_separate_share_a_rank():
    draws = generator(4, "groups").normal(size=(2_000, 3)) + np.array([0.0, 0.2, 9.0])
    order = ranking(draws)
    assert order.rank.tolist() == [2, 2, 1]
    assert order.groups == [[2], [0, 1]]
    assert order.separated.tolist() == [[False] * 3, [False] * 3, [True, True, False]]


def test_a_higher_level_separates_less():
    draws = generator(5, "level").normal(size=(2_000, 2)) + np.array([0.0, 3.2])
    assert ranking(draws, level=0.9).rank.tolist() == [2, 1]
    assert ranking(draws, level=0.9999).rank.tolist() == [1, 1]


@settings(max_examples=25, deadline=None)
@given(arrays(float, (30, 4), elements=st.integers(0, 5).map(float)))
def test_one_is_more_private_or_the_other(draws):
    probability = probability_more_private(draws)
    assert probability + probability.T == pytest.approx(np.ones((4, 4)))
    assert np.diag(probability) == pytest.approx(np.full(4, 0.5))


@settings(max_examples=25, deadline=None)
@given(arrays(float, (20, 5), elements=st.integers(0, 5).map(float)), st.permutations(range(5)))
def test_ranks_move_with_their_quantizers(draws, order):
    assert ranking(draws[:, order]).rank.tolist() == ranking(draws).rank[order].tolist()


REFUSED = [
    (lambda: ranking(np.empty((0, 3))), "at least one of each"),
    (lambda: ranking(np.full((2, 2), np.nan)), "finite"),
    (lambda: ranking(np.ones((2, 2)), level=1.0), "level"),
    (lambda: kendall(np.ones(3), np.arange(3.0)), "no order"),
    (lambda: kendall(np.array([0.0, np.nan, 1.0]), np.arange(3.0)), "finite"),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_input_that_makes_no_sense_is_refused(call, words):
    with pytest.raises(UserError, match=words):
        call()


def reaching(value, width):
    return Estimate(value, value - width, value + width)


def test_where_all_intervals_are_apart_the_two_taus_are_one():
    values, other = generator(5, "apart").permuted(np.tile(np.arange(8.0), (2, 1)), axis=1)
    narrow = [reaching(each, 0.1) for each in values]
    assert kendall_where_apart(narrow, other).value == pytest.approx(kendall(values, other).value)


def test_a_bound_has_no_order_that_could_agree_or_not():
    """The version of the lowest bound is the most secure in truth: its interval reaches to 1."""
    security = [reaching(0.9, 0.01), reaching(0.95, 0.01), Estimate(0.3, 0.3, 1.0, reason="below resolution")]
    found = kendall_where_apart(security, np.array([1.0, 2.0, 3.0]))
    assert found.value == 1.0
    assert "1 of 3" in found.method


def test_where_no_order_is_stated_there_is_no_tau():
    with pytest.raises(UserError, match="none of 3 orders") as caught:
        kendall_where_apart([reaching(each, 5.0) for each in (1.0, 2.0, 3.0)], np.arange(3.0))
    assert caught.value.hint


def test_an_agreement_counts_pairs_of_which_the_second_measure_is_tied_as_neither():
    assert kendall_where_apart([reaching(each, 0.1) for each in (1.0, 2.0, 3.0)], np.array([1.0, 1.0, 2.0])).value == (
        pytest.approx(2 / 3)
    )
