"""LiRA, RMIA and the others equal plain references, written as loops over targets and samples."""

import numpy as np
import pytest
from scipy import stats

from quantmis.attacks import RMIA, Calibrated, GaussianPlugIn, LiRA, LossThreshold, ModifiedEntropy, PairedReplicates
from quantmis.evidence import Evidence
from quantmis.testing import leaky_table

MODELS, SAMPLES = 12, 30


def references_of(target: Evidence, row: int, reference: Evidence) -> list[int]:
    own = target.member[row]
    same = [(own == other).all() or (own != other).all() for other in reference.member]
    return [index for index, pair_id in enumerate(same) if not pair_id]


def untied(seed: int = 0, shift: float = 0.0) -> Evidence:
    table = leaky_table(seed=seed, models=MODELS, samples=SAMPLES)
    noise = np.random.default_rng(seed + 10).normal(0, 0.3, table.losses.shape)
    return Evidence(table.losses + abs(noise) + shift, table.member, signal=table.signals + noise + shift)


def like(table: Evidence, seed: int) -> Evidence:
    """The full-precision table of the same models."""
    other = untied(seed, shift=0.5)
    return Evidence(other.losses, table.member, signal=other.signals)


TARGET = untied()
ATTACKERS = {
    "adaptive": None,
    "transfer": like(TARGET, 5),
    "strangers": untied(7),
    "few strangers": untied(7).rows(slice(0, 6)),
}


@pytest.fixture(params=list(ATTACKERS))
def reference(request: pytest.FixtureRequest) -> Evidence | None:
    return ATTACKERS[request.param]


def loop(target: Evidence, reference: Evidence | None, values: str, score) -> np.ndarray:
    """Score with a function of (own value, references trained on the sample, references not trained on it)."""
    models = target if reference is None else reference
    found = np.empty(target.losses.shape)
    for row in range(target.models):
        rest = references_of(target, row, models)
        for column in range(target.samples):
            others, member = getattr(models, values)[rest, column], models.member[rest, column]
            found[row, column] = score(getattr(target, values)[row, column], others[member], others[~member])
    return found


def test_per_example_lira_equals_the_loop(reference: Evidence | None):
    def ratio(own, inside, outside):
        return stats.norm.logpdf(own, inside.mean(), inside.std(ddof=1)) - stats.norm.logpdf(
            own, outside.mean(), outside.std(ddof=1)
        )

    expected = loop(TARGET, reference, "signals", ratio)
    np.testing.assert_allclose(LiRA(variance="per_example").score(TARGET, reference), expected, rtol=1e-6, atol=1e-6)


def test_offline_lira_equals_the_loop(reference: Evidence | None):
    expected = loop(TARGET, reference, "signals", lambda own, _, outside: (own - outside.mean()) / outside.std(ddof=1))
    found = LiRA(online=False, variance="per_example").score(TARGET, reference)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def pooled_variance(target: Evidence, row: int, models: Evidence, side: bool) -> float:
    rest = references_of(target, row, models)
    squares = freedom = 0.0
    for column in range(target.samples):
        chosen = models.signals[rest, column][models.member[rest, column] == side]
        squares += chosen.var() * len(chosen)
        freedom += len(chosen) - 1
    return squares / freedom


def test_pooled_lira_equals_the_loop(reference: Evidence | None):
    models = TARGET if reference is None else reference
    gap = {
        side: loop(
            TARGET,
            reference,
            "signals",
            lambda own, inside, outside, side=side: own - (inside if side else outside).mean(),
        )
        for side in (True, False)
    }
    expected = np.empty(TARGET.losses.shape)
    for row in range(TARGET.models):
        inside, outside = (pooled_variance(TARGET, row, models, side) for side in (True, False))
        expected[row] = stats.norm.logpdf(gap[True][row], 0, inside**0.5) - stats.norm.logpdf(
            gap[False][row], 0, outside**0.5
        )
    np.testing.assert_allclose(LiRA(variance="pooled").score(TARGET, reference), expected, rtol=1e-6, atol=1e-6)


def test_shrunken_variances_lie_between_pooled_and_own():
    draw = np.random.default_rng(0)
    scale = np.exp(draw.normal(0, 1, 400))
    member = leaky_table(models=16, samples=400).member
    table = Evidence(scale * draw.normal(size=(16, 400)), member)
    own, pooled, shrunken = (
        LiRA(online=False, variance=how).score(table) for how in ("per_example", "pooled", "shrunken")
    )
    deviations = [np.abs(np.log(np.abs(score[0] / pooled[0]))) for score in (own, shrunken)]
    assert 0.3 < deviations[1].mean() / deviations[0].mean() < 1.0


def test_shrinking_pools_where_all_variances_are_equal():
    draw = np.random.default_rng(0)
    member = leaky_table(models=8, samples=2000).member
    table = Evidence(draw.normal(size=(8, 2000)), member)
    pooled, shrunken = (LiRA(online=False, variance=how).score(table) for how in ("pooled", "shrunken"))
    assert np.corrcoef(pooled.ravel(), shrunken.ravel())[0, 1] > 0.999


@pytest.mark.parametrize("gamma", [1.0, 1.3])
def test_rmia_equals_the_matrix_of_all_pairs(reference: Evidence | None, gamma: float):
    usual = loop(
        TARGET, reference, "losses", lambda _, inside, outside: np.exp(-np.concatenate([inside, outside])).mean()
    )
    ratio = np.exp(-TARGET.losses) / usual
    expected = np.empty_like(ratio)
    for row in range(TARGET.models):
        for x in range(TARGET.samples):
            expected[row, x] = np.mean([ratio[row, x] / ratio[row, z] >= gamma for z in range(TARGET.samples)])
    np.testing.assert_allclose(RMIA(gamma=gamma).score(TARGET, reference), expected, atol=1e-6)


def test_offline_rmia_equals_the_loop(reference: Evidence | None):
    usual = loop(TARGET, reference, "losses", lambda _, inside, outside: (1.3 * np.exp(-outside).mean() + 0.7) / 2)
    ratio = np.exp(-TARGET.losses) / usual
    expected = (ratio[:, :, None] >= ratio[:, None, :]).mean(-1)
    np.testing.assert_allclose(RMIA(online=False).score(TARGET, reference), expected, atol=1e-6)


def test_log_average_rmia_equals_the_loop(reference: Evidence | None):
    usual = loop(
        TARGET, reference, "losses", lambda _, inside, outside: np.exp(-np.concatenate([inside, outside])).mean()
    )
    ratio = np.exp(-TARGET.losses) / usual
    expected = np.log(ratio[:, :, None] / ratio[:, None, :]).mean(-1)
    np.testing.assert_allclose(RMIA(log_average=True).score(TARGET, reference), expected, rtol=1e-6, atol=1e-9)


def test_calibration_equals_the_loop(reference: Evidence | None):
    expected = loop(TARGET, reference, "losses", lambda own, _, outside: outside.mean() - own)
    np.testing.assert_allclose(Calibrated().score(TARGET, reference), expected, rtol=1e-6, atol=1e-9)


def test_simple_scores():
    table = leaky_table()
    np.testing.assert_array_equal(LossThreshold().score(table), -table.losses)
    np.testing.assert_array_equal(ModifiedEntropy().score(table), -table.entropy)
    np.testing.assert_array_equal(PairedReplicates().score(table)[3], table.signals[3] - table.signals[2])


def test_a_large_offset_does_not_change_lira():
    table = untied()
    far = Evidence(table.losses, table.member, signal=table.signals + 1e6)
    np.testing.assert_allclose(LiRA().score(far), LiRA().score(table), rtol=1e-5, atol=1e-5)


def test_the_gaussian_plug_in_estimates_the_advantage_in_the_signal():
    draw, member = np.random.default_rng(0), leaky_table(models=32, samples=400).member
    moved = np.abs(draw.normal(0, 1, 400))
    table = Evidence(2 * draw.normal(size=400) + draw.normal(size=(32, 400)) - moved * member, member)
    found = GaussianPlugIn().advantage(table)
    assert found.low < (2 * stats.norm.cdf(moved / 2) - 1).mean() < found.high
    assert found.high - found.low < 0.1


def test_the_gaussian_plug_in_finds_nothing_in_noise():
    draw, member = np.random.default_rng(1), leaky_table(models=16, samples=400).member
    found = GaussianPlugIn().advantage(Evidence(draw.normal(size=(16, 400)), member))
    assert found.low == 0.0
    assert found.value < 0.02
