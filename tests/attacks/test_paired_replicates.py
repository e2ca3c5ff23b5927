"""The exposure between twins and the advantage predicted from it: known answers, a loop as oracle, coverage."""

import numpy as np
import pytest
from scipy.stats import norm

from quantmis.attacks import PairedReplicates
from quantmis.attacks.paired_replicates import SHARPER
from quantmis.errors import UserError
from quantmis.evidence import Evidence
from quantmis.stats.compare import compare_metrics
from quantmis.testing import leaky_table

PAIRED = PairedReplicates()


def gaussian(apart: float, seed: int = 0, models: int = 4, samples: int = 400, spread: float = 1.0) -> Evidence:
    """Losses that are normal with the difficulty of the sample in common, lower by `apart` on members."""
    member = leaky_table(seed=seed, models=models, samples=samples).member
    draw = np.random.default_rng(seed)
    return Evidence(3 + draw.normal(size=samples) + spread * draw.normal(size=member.shape) - apart * member, member)


def test_the_exposure_equals_the_loop():
    table = leaky_table(models=6)
    towards, size = 0.0, 0.0
    for row in range(0, 6, 2):
        for sample in range(table.samples):
            inside, outside = (row, row + 1) if table.member[row, sample] else (row + 1, row)
            change = np.exp(-table.losses[inside, sample]) - np.exp(-table.losses[outside, sample])
            towards, size = towards + change, size + abs(change)
    assert PAIRED.exposure(table).value == pytest.approx(towards / size, rel=1e-12)


def test_twins_that_agree_everywhere_expose_nothing():
    table = leaky_table(models=4)
    same = Evidence(np.broadcast_to(table.losses[:1], table.losses.shape).copy(), table.member)
    assert PAIRED.exposure(same).value == 0.0


def test_models_that_know_their_members_expose_everything():
    member = leaky_table().member
    assert PAIRED.exposure(Evidence(1.0 - member, member)).value == 1.0


def test_models_that_do_worse_on_members_have_a_negative_exposure():
    assert PAIRED.exposure(gaussian(-1.0)).high < 0


@pytest.mark.slow
def test_the_interval_contains_0_where_nothing_leaks():
    found = [PAIRED.exposure(gaussian(0.0, seed)) for seed in range(200)]
    assert np.mean([each.low <= 0 <= each.high for each in found]) >= 0.92


def test_the_order_of_samples_and_models_does_not_matter():
    table, order = leaky_table(), np.random.default_rng(1).permutation(160)
    shuffled = table.columns(order).rows(slice(None, None, -1))
    assert PAIRED.exposure(shuffled).value == pytest.approx(PAIRED.exposure(table).value)
    assert PAIRED.advantage(shuffled).value == pytest.approx(PAIRED.advantage(table).value)


@pytest.mark.parametrize("scale", [1e3, 1e9])
def test_large_losses_lose_nothing_but_their_unit(scale: float):
    table = gaussian(0.5)
    large = Evidence(scale * table.losses, table.member)
    larger = Evidence(10 * scale * table.losses, table.member)
    assert PAIRED.exposure(large).value == pytest.approx(PAIRED.exposure(larger).value)
    assert PAIRED.exposure(large).low > 0


def test_negative_losses_are_taken():
    table = gaussian(0.5)
    moved = Evidence(table.losses - 10.0, table.member)
    assert 0 < PAIRED.exposure(moved).value < 1


def test_influences_are_those_of_leaving_a_sample_out():
    table = gaussian(0.5, samples=200)
    whole = PAIRED.movement(table)
    unit = np.median(table.losses)
    for sample in range(5):
        rest = np.delete(np.arange(200), sample)
        fixed = Evidence(table.losses / unit * np.log(2), table.member)  # the unit of the losses stays
        left_out = PAIRED.movement(fixed.columns(rest)).value - PAIRED.movement(fixed).value
        influence = PAIRED.movement(fixed).influence[:, sample].sum()
        assert left_out == pytest.approx(-influence, abs=2e-4)
    assert whole.influence.sum() == pytest.approx(0.0, abs=1e-12)


def test_the_area_stays_where_outputs_are_rescaled_and_the_exposure_does_not():
    margins = leaky_table(models=4).signals
    tables = [
        Evidence(np.logaddexp(0, -each), leaky_table(models=4).member, signal=each) for each in (margins, margins / 4)
    ]
    first, second = (PAIRED.area(each).value for each in tables)
    assert first == second > 0.5
    assert abs(PAIRED.exposure(tables[0]).value - PAIRED.exposure(tables[1]).value) > 0.01


def test_the_exposures_of_two_quantizers_are_told_apart():
    strong, weak = gaussian(1.0, models=16), gaussian(0.3, models=16)
    [pair] = compare_metrics({"strong": PAIRED.movement(strong), "weak": PAIRED.movement(weak)}, strong.member)
    assert pair.estimate.low > 0
    assert pair.adjusted < 0.001


@pytest.mark.parametrize("apart", [0.0, 0.5, 1.5])
def test_the_predicted_advantage_is_that_of_two_normals(apart: float):
    found = PAIRED.advantage(gaussian(apart, samples=4000))
    truth = 2 * norm.cdf(apart * (1 + SHARPER * apart) / 2) - 1
    assert found.low - 0.01 <= truth <= found.high + 0.01


def test_a_higher_level_widens_the_interval():
    for measure in (PAIRED.exposure, PAIRED.advantage):
        wide, narrow = measure(gaussian(0.5), level=0.99), measure(gaussian(0.5), level=0.5)
        assert wide.low < narrow.low <= narrow.value <= narrow.high < wide.high


def test_models_without_twins_have_no_exposure():
    for measure in (PAIRED.exposure, PAIRED.advantage, PAIRED.movement):
        with pytest.raises(UserError, match="1 of 3 have no twin"):
            measure(leaky_table().rows(slice(0, 3)))
