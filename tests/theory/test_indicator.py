import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantmis.errors import UserError
from quantmis.seeds import generator
from quantmis.stats.ranking import ranking
from quantmis.theory import indicator, indicator_draws

AGGREGATES = ("pairs", "min", "median")


def gaussian_candidates(gaps, samples, stream):
    """Return losses with the given means and unit variances: the rate between j and k is (gap_j - gap_k)^2 / 4."""
    return np.asarray(gaps)[:, None] + stream.normal(size=(len(gaps), samples))


def replicates(count, samples, stream, spread=0.3):
    """Return trainings whose quality is itself random: the mean rate over pairs is spread^2 / 2."""
    return gaussian_candidates(spread * stream.normal(size=count), samples, stream)


@pytest.mark.parametrize(
    ("aggregate", "truth"), [("pairs", (0.25 + 1.0 + 0.25) / 12), ("min", 0.25 / 4), ("median", (0.25 + 1.0) / 8)]
)
def test_every_aggregate_finds_its_known_rate(aggregate, truth):
    estimate = indicator(gaussian_candidates([0.0, 0.5, 1.0], 50_000, generator(1, "known")), aggregate=aggregate)
    assert estimate.value == pytest.approx(truth, rel=0.05)
    assert estimate.reason is None


def test_pairs_is_unbiased_where_the_plain_mean_is_not():
    tables = [replicates(6, 100, generator(seed, "unbiased"), spread=0.05) for seed in range(200)]
    truth = 0.05**2 / 2
    debiased = np.mean([pairs_value(table) for table in tables])
    plain = np.mean([plain_pairs(table) for table in tables])
    assert plain > 4 * truth
    assert debiased == pytest.approx(truth, abs=4e-4)


def pairs_value(table):
    return float(indicator_draws(table).mean())


def plain_pairs(table):
    difference = table[:, None] - table
    off = ~np.eye(len(table), dtype=bool)
    return (difference.mean(axis=2)[off] ** 2 / (2 * difference.var(axis=2, ddof=1)[off])).mean()


def test_pairs_agrees_with_the_formula_written_out():
    table = replicates(5, 400, generator(2, "formula"), spread=1.0)
    assert indicator(table).value == pytest.approx(plain_pairs(table) - 1 / 800, rel=1e-9)


@pytest.mark.parametrize("count", [4, 8, 24])
def test_the_interval_covers_new_points_and_new_replicates(count):
    truth = 0.3**2 / 2
    estimates = [indicator(replicates(count, 400, generator(seed, "cover", count))) for seed in range(60)]
    covered = np.mean([estimate.low <= truth <= estimate.high for estimate in estimates])
    assert 0.9 <= covered <= 1.0


@pytest.mark.slow
def test_the_interval_of_min_covers_new_points():
    covered = []
    for seed in range(60):
        estimate = indicator(gaussian_candidates([0.0, 0.5], 300, generator(seed, "points")), aggregate="min")
        covered.append(estimate.low <= 0.25 / 4 <= estimate.high)
    assert 0.9 <= np.mean(covered) <= 1.0


@pytest.mark.slow
def test_points_with_heavy_tails_are_covered_through_the_variance():
    """The loss is +-1 or rarely +-20: the variance decides the rate, and few points decide the variance."""
    truth, covered = 1.5**2 / (2 * (0.99 + 0.01 * 400)), []
    for seed in range(60):
        stream = generator(seed, "tails")
        size = np.where(stream.random(1500) < 0.01, 20.0, 1.0) * stream.choice([-1.0, 1.0], 1500)
        estimate = indicator(np.stack([0 * size, 1.5 + size]))
        covered.append(estimate.low <= truth <= estimate.high)
    assert 0.88 <= np.mean(covered) <= 0.99


@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_equal_candidates_in_law_are_below_resolution(aggregate):
    estimate = indicator(generator(3, "null").normal(size=(4, 300)), aggregate=aggregate)
    assert estimate.low == 0.0
    assert estimate.value == estimate.high > 0.0
    assert estimate.reason is not None
    assert "below resolution" in estimate.reason


def test_checkpoints_of_one_replicate_make_no_pair():
    stream = generator(4, "steps")
    finals = gaussian_candidates([0.0, 0.6], 5_000, stream)
    steps = np.concatenate([finals, finals + 5 + stream.normal(size=finals.shape)])
    across = indicator(steps, np.array([0, 1, 0, 1])).value
    within = indicator(steps[[0, 2]], None).value
    pairs = [indicator(steps[[a, b]]).value for a, b in ((0, 1), (0, 3), (2, 1), (2, 3))]
    assert across == pytest.approx(np.mean(pairs), rel=1e-6)
    assert across != pytest.approx(within, rel=0.1)


@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_a_candidate_seen_twice_changes_nothing_but_its_weight(aggregate):
    table = gaussian_candidates([0.0, 0.5], 2_000, generator(5, "twice"))
    once, twice = indicator(table, aggregate=aggregate), indicator(table[[0, 1, 1]], aggregate=aggregate)
    assert twice.value == pytest.approx(once.value, rel=1e-9)


def test_large_losses_keep_the_digits_of_small_gaps():
    table = 1e-4 * gaussian_candidates([0.0, 0.5, 1.0], 1_000, generator(6, "digits"))
    shared = 1e4 * generator(6, "shared").random(1_000)
    assert indicator(table + shared).value == pytest.approx(indicator(table).value, rel=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.01, 100), st.floats(-1e3, 1e3), st.sampled_from(AGGREGATES))
def test_units_and_offsets_of_the_loss_do_not_matter(scale, offset, aggregate):
    table = gaussian_candidates([0.0, 0.4, 0.5], 200, generator(7, "units"))
    plain, changed = indicator(table, aggregate=aggregate), indicator(scale * table + offset, aggregate=aggregate)
    assert (changed.value, changed.high) == pytest.approx((plain.value, plain.high), rel=1e-5)


def test_the_order_of_rows_does_not_move_the_value():
    table = replicates(6, 300, generator(8, "order"), spread=1.0)
    assert indicator(table[::-1].copy()).value == pytest.approx(indicator(table).value, rel=1e-9)


def test_a_higher_level_widens_the_interval():
    table = replicates(8, 500, generator(9, "level"))
    narrow, wide = indicator(table, level=0.8), indicator(table, level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_quantizers_on_the_same_points_have_paired_draws():
    stream = generator(10, "paired")
    table = replicates(8, 500, stream)
    other = table + 0.1 * stream.normal(size=table.shape)
    assert np.corrcoef(indicator_draws(table), indicator_draws(other))[0, 1] > 0.8


def test_quantizers_of_one_law_are_rarely_separated():
    separated = []
    for seed in range(60):
        stream = generator(seed, "one law")
        draws = [indicator_draws(replicates(6, 200, stream)) for _ in range(2)]
        separated.append(len(ranking(np.stack(draws, axis=1)).groups) > 1)
    assert np.mean(separated) <= 0.12


def test_points_are_resampled_in_blocks_without_losing_the_interval():
    table = gaussian_candidates([0.0, 0.5], 3_000, generator(11, "blocks"))
    gap, error = table[1].mean() - table[0].mean(), np.sqrt(2 / 3_000)
    estimate = indicator(table)
    factor = np.exp(1.96 * 2 * error / abs(gap))
    assert estimate.high / estimate.value == pytest.approx(factor, rel=0.05)
    assert estimate.value / estimate.low == pytest.approx(factor, rel=0.05)


def test_two_replicates_say_that_only_points_were_resampled():
    assert "two replicates" in indicator(replicates(2, 300, generator(12, "two"))).method


REFUSED = [
    ({"losses": np.zeros(200)}, "table"),
    ({"losses": np.ones((1, 200))}, "two candidates"),
    ({"losses": np.arange(180.0).reshape(2, 90)}, "100 samples"),
    ({"losses": np.full((2, 200), np.nan)}, "NaN"),
    ({"losses": np.stack([np.zeros(200), np.full(200, np.inf)])}, "infinite"),
    ({"losses": np.ones((3, 200))}, "one candidate"),
    ({"losses": np.stack([np.zeros(200), np.ones(200)])}, "more than a constant"),
    ({"replicate": np.arange(2)}, "3 labels"),
    ({"replicate": np.zeros(3, dtype=int)}, "two replicates"),
    ({"aggregate": "pair"}, "unknown aggregate"),
    ({"level": 1.0}, "level"),
]


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(("wrong", "words"), REFUSED)
def test_input_that_makes_no_sense_is_refused(wrong, words):
    right = {"losses": generator(13, "right").normal(size=(3, 200))}
    with pytest.raises(UserError, match=words) as caught:
        indicator(**(right | wrong))
    assert caught.value.hint is not None or "level" in words
