import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from quantmis.errors import UserError
from quantmis.seeds import generator
from quantmis.stats import Estimate
from quantmis.theory import asymptotic_bound, asymptotic_security, chernoff_rate, gaussian_rate

RATES = (gaussian_rate, chernoff_rate)


def coin(gap, sides=(-1.0, 1.0)):
    """Return the losses of two candidates whose difference is gap plus a fair coin."""
    toss = np.tile(sides, 100)
    return np.stack([0 * toss, gap + toss])


def plain_chernoff(losses):
    """Return the rate by the definition, one candidate at a time, with a general minimiser."""
    best = losses[losses.mean(axis=1).argmin()]
    excess = [row - best for row in losses if (row != best).any()]
    minima = [
        minimize_scalar(lambda t, d=d: np.log(np.exp(-t * d).mean()), bounds=(0, 50), method="bounded") for d in excess
    ]
    return min(-result.fun for result in minima)


def test_the_gaussian_rate_is_its_formula():
    losses = generator(1, "formula").normal(size=(5, 300)) + np.arange(5)[:, None]
    best = losses.mean(axis=1).argmin()
    excess = np.delete(losses - losses[best], best, axis=0)
    assert gaussian_rate(losses) == pytest.approx((excess.mean(1) ** 2 / (2 * excess.var(1))).min(), rel=1e-12)


def test_the_chernoff_rate_is_that_of_a_general_minimiser():
    for seed in range(10):
        losses = generator(seed, "oracle").gamma(1.0, size=(4, 400)) + 0.3 * np.arange(4)[:, None]
        assert chernoff_rate(losses) == pytest.approx(plain_chernoff(losses), rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-4, 0.05), st.floats(0.5, 20.0))
def test_chernoff_becomes_gaussian_as_the_gap_shrinks(gap, scale):
    losses = scale * coin(gap)
    assert chernoff_rate(losses) == pytest.approx(gaussian_rate(losses), rel=gap**2 + 1e-6)


def test_the_two_rates_differ_at_large_gaps():
    assert chernoff_rate(coin(0.9)) > 1.2 * gaussian_rate(coin(0.9))


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-3, 1e3), st.floats(-1e4, 1e4), st.sampled_from(RATES))
def test_units_and_offsets_do_not_matter(scale, offset, rate):
    losses = generator(2, "units").normal(size=(3, 200)) + 0.3 * np.arange(3)[:, None]
    assert rate(scale * losses + offset) == pytest.approx(rate(losses), rel=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(4)), st.sampled_from(RATES))
def test_order_and_repetition_of_candidates_do_not_matter(order, rate):
    losses = generator(3, "order").normal(size=(4, 200)) + 0.3 * np.arange(4)[:, None]
    assert rate(losses[[*order, order[0]]]) == pytest.approx(rate(losses), rel=1e-9)


@pytest.mark.parametrize("rate", RATES)
def test_losses_up_to_ten_thousand_stay_finite(rate):
    losses = 1e4 * generator(4, "large").random((6, 500)) ** 8
    assert 0 <= rate(losses) < 1


def test_a_constant_gap_has_an_infinite_rate():
    table = coin(0.0)[1] + np.array([[0.0], [1.0]])
    assert [rate(table) for rate in RATES] == [math.inf, math.inf]


def test_a_candidate_that_is_never_better_survives_only_on_ties():
    losses = np.stack([np.zeros(200), np.tile([0.0, 0.0, 0.0, 1.0], 50)])
    assert chernoff_rate(losses) == pytest.approx(-math.log(0.75))


def test_a_level_gap_has_the_rate_zero():
    assert [rate(coin(0.0)) for rate in RATES] == [0.0, pytest.approx(0.0, abs=1e-12)]


def test_a_candidate_better_at_one_point_by_almost_nothing_is_no_numerical_trap():
    excess = np.full(200, 1.0)
    excess[0] = -1e-9
    rate = chernoff_rate(np.stack([np.zeros(200), excess]))
    assert rate == pytest.approx(math.log(200), abs=1e-3)


def test_the_asymptotic_bound_keeps_small_rates():
    assert asymptotic_security(1e-20, 10) == pytest.approx(1e-19)


def test_the_bound_of_an_unresolved_rate_stays_unresolved():
    bound = asymptotic_bound(Estimate(0.02, 0.0, 0.02, reason="below resolution"), 10)
    assert (bound.low, bound.high, bound.reason) == (0.0, pytest.approx(1 - math.exp(-0.2)), "below resolution")


REFUSED = [
    (np.zeros(200), "table"),
    (np.ones((1, 200)), "two candidates"),
    (np.arange(180.0).reshape(2, 90), "100 samples"),
    (np.full((2, 200), np.nan), "NaN"),
    (np.ones((3, 200)), "one candidate"),
]


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("losses", "words"), REFUSED)
def test_input_that_makes_no_sense_is_refused_with_the_remedy(rate, losses, words):
    with pytest.raises(UserError, match=words) as caught:
        rate(losses)
    assert caught.value.hint
