import itertools
import math

import numpy as np
import pytest

from quantmis.errors import UserError
from quantmis.seeds import generator
from quantmis.theory import codebook, exact_security, world


def enumerated_advantage(losses, n):
    """Return Delta_n of a population of few points by listing every training set with its probability."""
    candidates, points = losses.shape
    chosen = np.zeros((points, candidates))
    for rest in itertools.combinations_with_replacement(range(points), n - 1):
        counts = np.bincount(rest, minlength=points)
        share = math.factorial(n - 1) / math.prod(math.factorial(count) for count in counts) / points ** (n - 1)
        for point in range(points):
            chosen[point, (losses[:, list(rest)].sum(axis=1) + losses[:, point]).argmin()] += share
    return np.abs(chosen - chosen.mean(axis=0)).sum(axis=1).mean() / 2


def test_simulation_agrees_with_every_training_set_listed():
    few = generator(1, "few").gamma(1.0, size=(4, 5))
    many = np.repeat(few, 20, axis=1)
    estimate = exact_security(many, n=5, draws=40_000)
    assert 1 - estimate.value == pytest.approx(enumerated_advantage(few, 5), rel=0.02)
    assert estimate.low <= 1 - enumerated_advantage(few, 5) <= estimate.high


@pytest.mark.slow
def test_the_interval_of_the_simulation_covers():
    few = generator(2, "cover").gamma(1.0, size=(3, 5))
    truth = 1 - enumerated_advantage(few, 4)
    runs = [exact_security(np.repeat(few, 20, axis=1), n=4, draws=1_000, seed=seed) for seed in range(40)]
    assert np.mean([run.low <= truth <= run.high for run in runs]) >= 0.9


def test_more_training_points_are_more_private():
    losses = world("logistic", "sign", dimension=3, points=200, seed=1).losses
    values = [exact_security(losses, n, draws=10_000).value for n in (10, 50, 250)]
    assert values == sorted(values)


def test_two_levels_per_weight_with_many_points_drawn_agree_with_few_at_a_time():
    losses = world("linear", "sign", dimension=2, points=100, seed=2).losses
    few = exact_security(losses, n=401, draws=20_000)
    many = exact_security(np.tile(losses, 2), n=401, draws=20_000)
    assert few.low <= many.high
    assert many.low <= few.high


@pytest.mark.parametrize(
    ("name", "size"), [("sign", 8), ("ternary", 27), ("sparse1", 7), ("sparse2", 19), ("2bit", 64), ("3bit", 512)]
)
def test_a_codebook_lists_every_vector_once(name, size):
    vectors = codebook(name, 3)
    assert len(np.unique(vectors, axis=0)) == len(vectors) == size


def test_codebooks_of_one_seed_share_their_population():
    ternary, sparse = world("logistic", "ternary", 3, seed=5), world("logistic", "sparse1", 3, seed=5)
    row = (ternary.weights == sparse.weights[0]).all(axis=1).argmax()
    assert ternary.losses[row] == pytest.approx(sparse.losses[0])


def test_a_sample_has_the_means_of_its_population():
    population = world("linear", "sign", 2, seed=6)
    assert population.sample(200_000).mean(axis=1) == pytest.approx(population.losses.mean(axis=1), rel=0.02)


REFUSED = [
    (lambda: world("logistics", "sign"), "unknown kind"),
    (lambda: codebook("signs", 2), "unknown codebook"),
    (lambda: exact_security(np.eye(2).repeat(100, axis=1), n=1), "2 training points"),
    (lambda: exact_security(np.eye(2).repeat(100, axis=1), n=5, draws=10), "1000"),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_input_that_makes_no_sense_is_refused_with_the_remedy(call, words):
    with pytest.raises(UserError, match=words) as caught:
        call()
    assert caught.value.hint
