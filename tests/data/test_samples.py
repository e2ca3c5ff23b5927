"""Claims about samples and who is a member of what."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from quantmis.data import Samples, complementary_halves
from quantmis.data.canaries import with_canaries
from quantmis.data.membership import hold_out
from quantmis.errors import UserError


@given(st.integers(1, 8), st.integers(1, 30), st.integers(0, 2**31))
def test_every_sample_is_a_member_of_exactly_half_of_the_models(pairs: int, half: int, seed: int):
    member = complementary_halves(2 * pairs, 2 * half, np.random.default_rng(seed))
    assert (member.sum(0) == pairs).all()
    assert (member.sum(1) == half).all()
    assert (member[0::2] == ~member[1::2]).all()


def test_different_pairs_are_divided_differently(rng: np.random.Generator):
    member = complementary_halves(20, 100, rng)
    assert len({row.tobytes() for row in member}) == 20


@pytest.mark.parametrize(("models", "samples"), [(3, 10), (0, 10), (4, 9), (-2, 10)])
def test_an_odd_plan_is_refused(models: int, samples: int, rng: np.random.Generator):
    with pytest.raises(UserError, match="even number"):
        complementary_halves(models, samples, rng)


@given(st.integers(20, 500), st.floats(0.05, 0.9))
def test_held_out_and_kept_samples_are_everything_once(samples: int, fraction: float):
    kept, held = hold_out(samples, fraction, np.random.default_rng(0))
    assert sorted([*kept, *held]) == list(range(samples))
    assert len(kept) % 2 == 0
    assert len(kept)
    assert len(held)


def test_nothing_held_out_or_everything_is_refused(rng: np.random.Generator):
    for fraction in (0.0, 1.0, 0.001, 0.999):
        with pytest.raises(UserError, match="held_out"):
            hold_out(20, fraction, rng)


def test_tensors_and_lists_become_arrays():
    samples = Samples(torch.zeros(20, 3, dtype=torch.float64), [0, 1] * 10)
    assert samples.x.dtype == np.float32
    assert samples.y.dtype.kind == "i"


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((30, 2)), np.zeros(29), "x has 30 samples, y has 29"),
        (np.zeros((19, 2)), np.zeros(19), "at least 20 samples, got 19"),
        (np.zeros((0, 2)), np.zeros(0), "at least 20 samples, got 0"),
        (np.where(np.eye(30) > 0, np.nan, 0.0), np.zeros(30), "x: 30 samples hold NaN or infinity, the first at row 0"),
        (np.zeros((30, 2)), np.where(np.arange(30) == 7, np.inf, 0.0), "y: 1 samples hold NaN .* row 7"),
        (np.full((30, 2), 1e300), np.zeros(30), "x: 30 samples hold NaN or infinity"),
        (np.array([["a"]] * 30), np.zeros(30), "x: expected numbers"),
        (np.array([[None]] * 30), np.zeros(30), "x: expected numbers, got object"),
        ([[1.0], [1.0, 2.0]] * 15, np.zeros(30), "x: row 0 is no sequence of token numbers: "),
        ([[1], [1, -2]] * 15, np.zeros(30), "x: row 1 is no sequence of token numbers"),
        ([[1], []] * 15, np.zeros(30), "x: row 1 is no sequence of token numbers"),
        (torch.zeros(30, 2, requires_grad=True), np.zeros(30), "x: cannot become an array"),
        (np.float32(1), np.zeros(30), "one row per sample"),
    ],
)
def test_bad_samples_are_refused(x: object, y: object, message: str):
    with pytest.raises(UserError, match=message):
        Samples(x, y)


def test_sequences_of_different_lengths_are_filled_up():
    samples = Samples([[3, 4, 5], [6]] * 10, [0, 1] * 10)
    assert samples.x.shape == (20, 3)
    assert samples.x[1].tolist() == [6, -1, -1]
    assert samples.x.dtype.kind == "i"


def test_samples_are_called_by_their_ids_or_row_numbers(digits: Samples):
    assert digits.names[:3].tolist() == ["0", "1", "2"]
    named = Samples(digits.x, digits.y, ids=[f"s{k}" for k in range(len(digits))], notes=["pixels"])
    taken = named.take(np.array([5, *range(19)]))
    assert taken.names[[0, 1, 6]].tolist() == ["s5", "s0", "s5"]
    assert taken.notes == ("pixels",)
    assert named.digest() == digits.digest()
    planted = with_canaries(named, 2, np.random.default_rng(0)).samples
    assert planted.names[-2:].tolist() == ["canary 0", "canary 1"]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["a"] * 20, "ids: 1 stand for several samples, the first is .'a'."),
        (range(19), r"ids: expected one per sample, 20, got shape \[19\]"),
        (np.linspace(0, 1, 20), "ids: expected text or whole numbers, got float64"),
    ],
)
def test_bad_ids_are_refused(ids: object, message: str):
    with pytest.raises(UserError, match=message):
        Samples(np.zeros((20, 2)), np.zeros(20), ids=ids)


def test_one_changed_number_changes_the_digest(digits: Samples):
    other = Samples(digits.x.copy(), digits.y)
    assert other.digest() == digits.digest()
    other.x[5, 5] += 1e-6
    assert other.digest() != digits.digest()
    assert Samples(digits.x, digits.y.astype(np.int32)).digest() != digits.digest()
