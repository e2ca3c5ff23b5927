"""What holds in every world, for every rate and all scores: bounds, limits and orders known from the theory."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from quantmis.data.membership import complementary_halves
from quantmis.errors import UserError
from quantmis.stats import Estimate, Unmeasured, by_class, most_exposed
from quantmis.theory import (
    advantage,
    asymptotic_bound,
    asymptotic_security,
    codebook,
    exact_security,
    gaussian_rate,
    two_gaussian_advantage,
    world,
)
from quantmis.verify.compare import count, differences

pytestmark = pytest.mark.filterwarnings(
    "ignore:Do not use the `random` module inside strategies", "ignore:Generating overly large repr"
)
PLENTY = settings(deadline=None)
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
VERY_FEW = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
KINDS = st.sampled_from(["logistic", "linear"])
CODEBOOKS = st.sampled_from(["sign", "ternary", "sparse1", "sparse2"])
RATES = st.floats(0, 1e3)


@VERY_FEW
@given(KINDS, CODEBOOKS, st.integers(2, 3), st.integers(0, 99))
def test_a_world_is_the_same_for_the_same_seed_and_has_a_row_for_each_candidate(kind, quantizer, dimension, seed):
    one, again = (world(kind, quantizer, dimension, points=200, seed=seed) for _ in range(2))
    assert one.losses.tolist() == again.losses.tolist()
    assert one.losses.shape == (len(codebook(quantizer, dimension)), 200)
    assert np.isfinite(one.losses).all()
    assert np.isin(one.sample(50, seed), one.losses).all()


@VERY_FEW
@given(st.text(max_size=8), st.text(max_size=8))
def test_unknown_worlds_are_refused(kind: str, quantizer: str):
    with pytest.raises(UserError):
        world(kind, "sign") if kind not in ("logistic", "linear") else codebook(f"no {quantizer}", 2)


@VERY_FEW
@given(KINDS, CODEBOOKS, st.integers(0, 99), st.sampled_from([2, 20, 200]))
def test_exact_security_lies_in_its_interval_and_within_0_and_1(kind: str, quantizer: str, seed: int, n: int):
    losses = world(kind, quantizer, 2, points=150, seed=seed).losses
    found = exact_security(losses, n, draws=2000, seed=seed)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert 0 <= advantage(losses, n, draws=2000, seed=seed) <= 1


@VERY_FEW
@given(st.integers(0, 99), st.sampled_from([5, 50]))
def test_exact_security_forgets_the_order_and_the_unit_of_the_losses(seed: int, n: int):
    losses = world("logistic", "sign", 2, points=120, seed=seed).losses
    shuffled = losses[np.random.default_rng(seed).permutation(len(losses))]
    value, other, scaled = (exact_security(each, n, draws=2000).value for each in (losses, shuffled, 8 * losses))
    assert other == pytest.approx(value, abs=0.05)
    assert scaled == pytest.approx(value, abs=1e-6)


@PLENTY
@given(RATES, st.integers(1, 10**6))
def test_asymptotic_security_rises_with_the_rate_and_with_the_points(rate: float, n: int):
    found = asymptotic_security(rate, n)
    assert 0 <= found <= 1
    assert asymptotic_security(rate, n + 1) >= found
    assert asymptotic_security(2 * rate, n) >= found


@PLENTY
@given(st.lists(RATES, min_size=3, max_size=3), st.integers(1, 10**6))
def test_the_asymptotic_bound_keeps_the_order_of_its_interval(ends: list[float], n: int):
    low, value, high = sorted(ends)
    found = asymptotic_bound(Estimate(value, low, high), n)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.value == asymptotic_security(value, n)


@PLENTY
@given(st.floats(-3, 3), st.floats(0.1, 10), st.integers(1, 10**5))
def test_the_advantage_between_two_gaussians_falls_with_the_gap_and_is_largest_at_a_tie(gap, deviation, n):
    found, tie = two_gaussian_advantage(gap, deviation, n), two_gaussian_advantage(0.0, deviation, n)
    assert 0 <= found <= tie == pytest.approx(1 / (math.pi * math.sqrt(n)))
    assert two_gaussian_advantage(-gap, deviation, n) == found
    assert two_gaussian_advantage(2 * gap, deviation, n) <= found


@FEW
@given(st.integers(0, 2**31), st.floats(0.01, 2))
def test_the_rate_of_a_shifted_candidate_is_that_of_two_gaussians(seed: int, gap: float):
    noise = np.random.default_rng(seed).normal(size=1000)
    noise -= noise.mean()
    rate = gaussian_rate(np.stack([0 * noise, noise + gap]))
    assert rate == pytest.approx(gap**2 / 2 / noise.var(), rel=1e-2)


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw scores with ties, complementary halves, and classes, some of them rare."""
    stream = np.random.default_rng(draw(st.integers(0, 2**31)))
    models, samples = 2 * draw(st.integers(1, 8)), 2 * draw(st.integers(4, 20))
    member = complementary_halves(models, samples, stream)
    values = np.array(draw(st.lists(st.floats(-50, 50), min_size=1, max_size=5)))
    scores = values[stream.integers(len(values), size=member.shape)] + draw(st.sampled_from([0.0, 3.0])) * member
    return scores, member, stream.integers(draw(st.integers(1, 4)), size=samples)


@FEW
@given(scored())
def test_exposure_of_classes_and_samples_lies_in_its_interval(table: tuple[np.ndarray, np.ndarray, np.ndarray]):
    scores, member, label = table
    classes = by_class(scores, member, label)
    assert sorted(classes) == np.unique(label).tolist()
    for each in classes.values():
        assert bool(each.reason) if isinstance(each, Unmeasured) else 0 <= each.low <= each.value <= each.high <= 1
    exposed = most_exposed(scores, member, count=5)
    if isinstance(exposed, Unmeasured):
        assert len(scores) < 8
        return
    values = [each.exposure.value for each in exposed]
    assert values == sorted(values, reverse=True)
    assert all(each.exposure.low <= each.exposure.value <= each.exposure.high for each in exposed)
    assert len({each.sample for each in exposed}) == len(exposed)


@FEW
@given(scored())
def test_one_class_is_the_whole(table: tuple[np.ndarray, np.ndarray, np.ndarray]):
    scores, member, label = table
    [one] = by_class(scores, member, np.zeros_like(label)).values()
    [again] = by_class(2 * scores, member, np.zeros_like(label)).values()  # ranks alone count
    if isinstance(one, Estimate):
        assert isinstance(again, Estimate)
        assert again.value == pytest.approx(one.value)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(allow_nan=False), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=2), inner, max_size=3)),
    max_leaves=12,
)


@PLENTY
@given(JSON)
def test_a_document_does_not_differ_from_itself(document: object):
    assert list(differences(document, document)) == []
    assert count(document) >= 0


@PLENTY
@given(st.dictionaries(st.text(max_size=2), st.floats(-1, 1), min_size=1, max_size=4), st.data())
def test_every_changed_number_is_found(document: dict[str, float], data):
    key = data.draw(st.sampled_from(sorted(document)))
    [line] = differences(document, {**document, key: document[key] + 0.5})
    assert "in the document" in line


@FEW
@given(arrays(float, (2, 40), elements=st.floats(-3, 3)))
def test_most_exposed_names_nobody_where_models_are_few(scores: np.ndarray):
    member = np.tile(np.arange(40) % 2 == 0, (2, 1))
    assert isinstance(most_exposed(scores, member), Unmeasured)
