import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from quantmis.errors import UserError
from quantmis.seeds import generator
from quantmis.theory import advantage, exact_security, security, two_gaussian_advantage, world
from quantmis.theory.flux import corners

TWO = generator(0, "two").normal(size=(2, 100_000)) * np.array([[0.0], [1.0]])


def gaussian_integral(gap, n):
    """Return E_w |P(2 | w) - P(2)| of two candidates whose losses differ by a Gaussian of deviation 1."""
    w = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    return np.abs(norm.cdf((-n * gap + w) / np.sqrt(n - 1)) - norm.cdf(-np.sqrt(n) * gap)).mean()


@pytest.mark.parametrize("n", [200, 800, 5000])
@pytest.mark.parametrize("distance", [0.0, 0.5, 1.0, 2.0])
def test_the_closed_form_is_the_integral(n, distance):
    gap = distance / np.sqrt(n)
    assert two_gaussian_advantage(gap, 1.0, n) == pytest.approx(gaussian_integral(gap, n), rel=0.005)


@pytest.mark.parametrize(("gap", "n"), [(0.1, 100), (0.2, 100), (0.0, 400)])
def test_flux_of_two_gaussian_candidates_is_the_closed_form(gap, n):
    losses = (TWO - TWO.mean(axis=1, keepdims=True)) / np.maximum(TWO.std(axis=1, keepdims=True), 1e-9)
    losses[1] += gap
    assert advantage(losses, n) == pytest.approx(gaussian_integral(gap, n), rel=0.04)


@pytest.mark.parametrize(
    ("kind", "name", "dimension"),
    [("logistic", "sign", 4), ("logistic", "sparse2", 4), ("linear", "ternary", 3), ("linear", "2bit", 3)],
)
@pytest.mark.parametrize("n", [50, 200])
def test_flux_is_the_simulated_truth(kind, name, dimension, n):
    losses = world(kind, name, dimension, points=200, seed=51).losses
    truth = exact_security(losses, n, draws=20_000)
    tolerance = 0.06 * (1 - truth.value) + (truth.high - truth.low) / 2
    assert advantage(losses, n) == pytest.approx(1 - truth.value, abs=tolerance)


def test_a_rare_near_tie_is_found_without_meeting_one():
    """At 4.5 standard deviations one draw in 300,000 is a tie; 2,000 lines still measure it."""
    losses = (TWO - TWO.mean(axis=1, keepdims=True)) / np.maximum(TWO.std(axis=1, keepdims=True), 1e-9)
    losses[1] += 0.45
    assert advantage(losses, 100, draws=2000) == pytest.approx(gaussian_integral(0.45, 100), rel=0.25)


@pytest.mark.slow
def test_the_interval_covers_new_columns():
    population = world("logistic", "sparse2", 3, points=400, seed=52)
    truth = 1 - advantage(population.losses, 50, draws=40_000)
    runs = [security(population.sample(1000, seed), 50, draws=2000, seed=seed) for seed in range(40)]
    assert 0.9 <= np.mean([run.low <= truth <= run.high for run in runs]) <= 1.0
    assert np.median([run.high - run.low for run in runs]) < 0.6 * (1 - truth)


def test_more_columns_narrow_the_interval():
    population = world("logistic", "ternary", 3, seed=53)
    few, many = (security(population.sample(size), 100, draws=4000) for size in (500, 20_000))
    assert many.high - many.low < 0.6 * (few.high - few.low)


def test_a_higher_level_widens_the_interval():
    losses = world("logistic", "sign", 3, seed=54).losses
    narrow, wide = (security(losses, 20, draws=2000, level=level) for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_candidates_seen_twice_change_nothing():
    losses = world("linear", "sign", 3, points=300, seed=55).losses
    assert security(np.tile(losses, (2, 1)), 30, draws=2000).value == security(losses, 30, draws=2000).value


def test_candidates_that_cannot_win_change_nothing():
    losses = world("linear", "sign", 2, points=300, seed=56).losses
    hopeless = losses[:1] + 100 + losses[1:2]
    assert advantage(np.concatenate([losses, hopeless]), 30, draws=2000) == advantage(losses, 30, draws=2000)


@settings(max_examples=8, deadline=None)
@given(st.floats(1e-2, 1e2), st.floats(-1e3, 1e3))
def test_units_and_offsets_of_the_loss_do_not_matter(scale, offset):
    losses = world("logistic", "sign", 2, points=200, seed=57).losses
    changed = advantage(scale * losses + offset, 40, draws=2000)
    assert changed == pytest.approx(advantage(losses, 40, draws=2000), rel=1e-3)


@pytest.mark.parametrize("gap", [3.0, 30.0])
def test_an_advantage_that_nothing_resolves_is_a_bound_and_never_zero(gap):
    losses = np.stack([np.zeros(200), gap + generator(1, "far").normal(size=200)])
    estimate = security(losses, 500, draws=2000)
    assert estimate.reason is not None
    assert "lower bound" in estimate.reason
    assert estimate.low == estimate.value < estimate.high == 1.0


def test_a_candidate_worse_by_a_constant_is_a_bound_too():
    points = generator(2, "constant").normal(size=200)
    assert security(np.stack([points, points + 1]), 50).reason is not None


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_corners_are_those_of_the_minimum_on_a_fine_grid(seed):
    start, slope = np.random.default_rng(seed).normal(size=(2, 1, 6))
    found = corners(start, slope)
    grid = np.linspace(-7, 7, 4001)
    least = (start + grid[:, None] * slope).argmin(axis=1)
    expected = np.flatnonzero(np.diff(least))
    wide = np.diff(found.position, prepend=-7.0, append=7.0).min() > 0.01
    if wide:
        assert found.position == pytest.approx(grid[expected] + 0.00175, abs=0.004)
        assert found.right.tolist() == least[expected + 1].tolist()
    assert (np.diff(found.position) >= 0).all()


REFUSED = [
    ({"losses": np.zeros(200)}, "table"),
    ({"losses": np.ones((1, 200))}, "two candidates"),
    ({"losses": np.arange(180.0).reshape(2, 90)}, "100 samples"),
    ({"losses": np.full((2, 200), np.inf)}, "infinite"),
    ({"losses": np.ones((3, 200))}, "one candidate"),
    ({"n": 1}, "2 training points"),
    ({"draws": 10}, "2000"),
]


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(("wrong", "words"), REFUSED)
def test_input_that_makes_no_sense_is_refused_with_the_remedy(wrong, words):
    right = {"losses": generator(3, "right").normal(size=(3, 200)), "n": 50}
    with pytest.raises(UserError, match=words) as caught:
        security(**(right | wrong))
    assert caught.value.hint
