"""A quantizer as a noisy channel: worlds in which rho and the advantage after it are known exactly."""

import numpy as np
import pytest
from scipy.stats import norm

from quantmis.errors import UserError
from quantmis.theory.channel import Changes, advantage_after, correlation_estimate

RHO = 0.6


def channel(stream: np.random.Generator, trainings: int, samples: int, rho: float = RHO) -> tuple[np.ndarray, ...]:
    """Return signals before and after: difficulties and offsets of samples many times as large as what is left."""
    difficulty, offset = 5 * stream.normal(size=samples), 3 * stream.normal(size=samples)
    noise = stream.normal(size=(2, trainings, samples))
    whole = difficulty + noise[0]
    return whole, 0.7 * whole + offset + 0.7 * np.sqrt(1 / rho**2 - 1) * noise[1]


@pytest.mark.parametrize("trainings", [2, 4, 8])
def test_the_interval_between_trainings_covers_the_correlation_of_the_channel(trainings: int):
    everything, hits, values = np.ones((trainings, 300), dtype=bool), 0, []
    for seed in range(500):
        changes = Changes.between(*channel(np.random.default_rng(seed), trainings, 300), everything)
        rho = correlation_estimate(changes.normal_scores().correlation())
        hits += rho.low <= RHO <= rho.high
        values.append(rho.value)
    assert 0.93 <= hits / 500 <= 0.975
    assert abs(np.mean(values) - RHO) < 0.01


@pytest.mark.parametrize("trainings", [1, 4])
def test_the_interval_within_trainings_covers_the_correlation_of_the_channel(trainings: int):
    hits, draws = 0, 500
    for seed in range(draws):
        stream = np.random.default_rng(seed)
        whole, after = channel(stream, 2 * trainings, 300)
        untrained = stream.random((trainings, 300)) < 0.5
        pairs = [(each[:trainings], each[trainings:]) for each in (whole, after)]
        rho = correlation_estimate(Changes.within(*pairs, untrained).normal_scores().correlation())
        hits += rho.low <= RHO <= rho.high
    assert 0.93 <= hits / draws <= 0.975


def test_many_trainings_of_which_each_says_something_of_half_of_the_samples_pool_to_the_same():
    stream = np.random.default_rng(0)
    rho = Changes.between(*channel(stream, 8, 20_000), stream.random((8, 20_000)) < 0.5).correlation()
    assert abs(rho.value - RHO) < 0.01


def test_what_samples_and_models_are_offset_by_changes_nothing():
    stream, everything = np.random.default_rng(0), np.ones((4, 500), dtype=bool)
    whole, after = channel(stream, 4, 500)
    moved = after + 100 * stream.normal(size=500) + 50 * np.arange(4)[:, None]
    first, second = (Changes.between(whole, each, everything).correlation().value for each in (after, 3 * moved))
    assert first == pytest.approx(second, abs=1e-9)


def test_the_advantage_after_a_normal_channel_is_that_of_the_best_attack_on_its_law():
    for rho, apart in ((0.3, 0.5), (0.8, 2.0)):
        before, noise = 2 * norm.cdf(apart / 2) - 1, np.sqrt(1 / rho**2 - 1)
        grid = np.linspace(-20, 20, 40_001)
        laws = [norm.pdf(grid, centre, np.sqrt(1 + noise**2)) for centre in (0.0, apart)]
        exact = np.abs(laws[1] - laws[0]).sum() * (grid[1] - grid[0]) / 2
        after = advantage_after(before, rho)
        assert after == pytest.approx(exact, abs=1e-5)
        assert rho * before <= after <= before


def test_the_influences_are_those_of_leaving_a_sample_out():
    whole, after = channel(np.random.default_rng(3), 4, 200)
    rho = Changes.between(whole, after, np.ones((4, 200), dtype=bool)).correlation()
    keep = np.arange(200) != 7
    without = Changes.between(whole[:, keep], after[:, keep], np.ones((4, 199), dtype=bool)).correlation()
    assert rho.value - without.value == pytest.approx(rho.influence[:, 7].sum(), abs=2e-4)


def test_a_version_without_any_change_passes_nothing():
    whole, _ = channel(np.random.default_rng(0), 2, 100)
    assert Changes.between(whole, np.zeros_like(whole), np.ones_like(whole, dtype=bool)).correlation().value == 0


def test_full_precision_passes_everything():
    whole, _ = channel(np.random.default_rng(0), 2, 100)
    rho = Changes.between(whole, whole, np.ones_like(whole, dtype=bool)).correlation()
    assert correlation_estimate(rho).low == pytest.approx(1.0)


def test_a_channel_needs_two_trainings_enough_samples_and_one_table(unchecked: None):
    signals, everything = np.zeros((1, 100)), np.ones((1, 100), dtype=bool)
    with pytest.raises(UserError, match="need two trainings, got 1"):
        Changes.between(signals, signals, everything)
    with pytest.raises(UserError, match="expected 50 samples that models were not trained on, got 0"):
        Changes.within((signals, signals), (signals, signals), everything).correlation()
    with pytest.raises(UserError, match="same models and samples"):
        Changes.within((signals, signals), (signals, signals[:, 1:]), everything)
    with pytest.raises(UserError, match="between 0 and 1"):
        advantage_after(1.5, 0.5)


def test_a_few_changes_far_from_all_others_decide_nothing():
    whole, after = channel(np.random.default_rng(0), 2, 2000)
    after[0, :10] += 10_000
    changes = Changes.between(whole, after, np.ones_like(whole, dtype=bool))
    assert abs(changes.normal_scores().correlation().value - RHO) < 0.03 < abs(changes.correlation().value - RHO)
