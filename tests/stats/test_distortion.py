"""Distortion is SciPy's Spearman correlation on samples not trained on, whatever the units of the loss."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from quantmis.errors import UserError
from quantmis.evidence import Evidence
from quantmis.stats import distortion
from quantmis.stats.distortion import MOST_MODELS


def tables(models: int = 4, samples: int = 60, noise: float = 1.0, seed: int = 0) -> tuple[Evidence, Evidence]:
    draw = np.random.default_rng(seed)
    member = draw.random((models, samples)) < 0.5
    losses = draw.exponential(size=(models, samples))
    return Evidence(losses, member), Evidence(losses + noise * draw.exponential(size=losses.shape), member)


def test_it_is_one_minus_the_mean_over_models_of_spearmans_correlation_on_the_others():
    whole, quantized = tables()
    expected = [
        spearmanr(a[~mine], b[~mine]).statistic
        for a, b, mine in zip(whole.losses, quantized.losses, whole.member, strict=True)
    ]
    assert distortion(whole, quantized) == pytest.approx(1 - np.mean(expected), abs=1e-12)


def test_an_order_turned_round_is_not_lost():
    whole, _ = tables()
    assert distortion(whole, Evidence(-whole.losses, whole.member)) == pytest.approx(0, abs=1e-12)


@given(st.integers(0, 1000), st.floats(0.1, 10), st.floats(0.1, 3))
def test_units_do_not_count(seed: int, factor: float, power: float):
    whole, quantized = tables(seed=seed)
    other = Evidence(factor * quantized.losses**power, quantized.member)
    assert distortion(whole, other) == pytest.approx(distortion(whole, quantized), abs=1e-9)
    assert distortion(whole, Evidence(factor * whole.losses**power, whole.member)) == pytest.approx(0, abs=1e-9)


def test_members_do_not_count():
    whole, quantized = tables()
    upset = np.where(whole.member, np.random.default_rng(1).exponential(size=whole.losses.shape), quantized.losses)
    assert distortion(whole, Evidence(upset, whole.member)) == distortion(whole, quantized)


def test_more_noise_distorts_more_and_a_constant_distorts_all():
    found = [distortion(*tables(noise=noise)) for noise in (0.0, 0.1, 1.0, 10.0)]
    assert found == sorted(found)
    assert found[0] == pytest.approx(0)
    whole, _ = tables()
    assert distortion(whole, Evidence(np.ones_like(whole.losses), whole.member)) == 1


def test_models_beyond_the_first_are_not_looked_at():
    whole, quantized = tables(models=MOST_MODELS + 4)
    assert distortion(whole, quantized) == distortion(
        whole.rows(slice(MOST_MODELS)), quantized.rows(slice(MOST_MODELS))
    )


def test_what_cannot_be_compared_is_refused():
    whole, _ = tables(samples=60)
    with pytest.raises(UserError, match="same models and samples"):
        distortion(whole, tables(samples=50)[0])
    everyone = whole.relabelled(np.ones_like(whole.member))
    with pytest.raises(UserError, match="3 samples that a model was not trained on"):
        distortion(everyone, everyone)
