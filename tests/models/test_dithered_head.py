"""Claims about the head whose quantizing error is the noise of a guarantee: its law, its size, and what it refuses."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import quantmis as qm
from quantmis.data.samples import Samples
from quantmis.errors import UserError
from quantmis.models.dithered_head import DitheredHead
from quantmis.models.training import Training, train
from quantmis.theory.dithering import analytic_gaussian, decode, delta_of, dither, encode

DRAWS = 100_000


@pytest.mark.parametrize("value", [0.0, 0.37, -12.3])
def test_the_error_of_dithered_rounding_is_exactly_gaussian_whatever_is_rounded(value: float):
    by = dither(0.7, (DRAWS,), np.random.default_rng(1))
    error = decode(encode(np.full(DRAWS, value), by), by) - value
    assert stats.kstest(error / 0.7, "norm").pvalue > 0.01


def test_given_the_step_the_error_is_uniform_so_that_the_dither_must_be_secret():
    by = dither(1.0, (DRAWS,), np.random.default_rng(2))
    error = decode(encode(np.full(DRAWS, 0.3), by), by) - 0.3
    assert stats.kstest(error / by.step + 0.5, "uniform").pvalue > 0.01
    assert np.abs(error / by.step).max() <= 0.5


def test_the_error_knows_nothing_of_the_weight():
    draw = np.random.default_rng(3)
    values = draw.normal(size=DRAWS) * 3
    by = dither(0.5, (DRAWS,), draw)
    error = decode(encode(values, by), by) - values
    for one, other in ((values, error), (values**2, error**2), (np.abs(values), np.abs(error))):
        assert abs(stats.spearmanr(one, other).statistic) < 4 / math.sqrt(DRAWS)
    assert stats.ks_2samp(error[values > 0], error[values <= 0]).pvalue > 0.01


def test_a_fixed_step_would_not_do():
    """The guard of the test above: the law is that of the random step, not of any dither."""
    step, draw = math.sqrt(12.0), np.random.default_rng(4)
    offset = step * draw.uniform(-0.5, 0.5, DRAWS)
    error = np.rint((0.3 + offset) / step) * step - offset - 0.3
    assert error.std() == pytest.approx(1.0, abs=0.01)
    assert stats.kstest(error, "norm").pvalue < 1e-6


@pytest.mark.parametrize(("epsilon", "delta"), [(0.1, 1e-5), (1.0, 1e-5), (8.0, 1e-6), (20.0, 1e-3)])
def test_the_noise_is_the_least_that_the_definition_of_privacy_allows(epsilon: float, delta: float):
    """Against the definition: the hockey-stick divergence of two Gaussians a sensitivity apart, by quadrature."""
    sigma = analytic_gaussian(epsilon, delta)
    x = np.linspace(-30 * sigma, 30 * sigma + 1, 2_000_001)
    one, other = stats.norm.pdf(x, 1, sigma), stats.norm.pdf(x, 0, sigma)
    divergence = np.trapezoid(np.maximum(one - math.exp(epsilon) * other, 0), x)
    assert divergence == pytest.approx(delta, rel=1e-3)
    assert delta_of(0.99 * sigma, epsilon) > delta


def test_it_needs_less_noise_than_the_classical_bound_and_grows_with_the_sensitivity():
    classical = math.sqrt(2 * math.log(1.25 / 1e-5)) / 0.5
    assert analytic_gaussian(0.5, 1e-5) < classical
    assert analytic_gaussian(0.5, 1e-5, 3.0) == pytest.approx(3 * analytic_gaussian(0.5, 1e-5))


def embedded(samples: int = 400, classes: int = 3, seed: int = 0) -> Samples:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(samples, 5))
    y = x[:, :classes].argmax(1)
    return Samples(x / np.maximum(1, np.linalg.norm(x, axis=1, keepdims=True)), y)


def weights(head: DitheredHead, samples: Samples, seed: int = 0) -> np.ndarray:
    model = head(nn.Linear(5, 3, bias=False), samples, torch.Generator().manual_seed(seed))
    return model.weight.detach().numpy().astype(float)


def test_the_weights_are_the_minimiser_of_scikit_learn_with_noise_of_the_size_that_is_said():
    from sklearn.linear_model import LogisticRegression

    samples, head = embedded(), DitheredHead(epsilon=5.0, delta=1e-5, norm=1.0, decay=0.05)
    oracle = LogisticRegression(C=1 / (0.05 * 400), fit_intercept=False, tol=1e-10, max_iter=10_000)
    exact = oracle.fit(samples.x, samples.y).coef_
    errors = np.concatenate([(weights(head, samples, seed) - exact).ravel() for seed in range(200)])
    assert stats.kstest(errors / head.sigma(400), "norm").pvalue > 0.01


def test_replacing_one_record_moves_the_minimiser_by_no_more_than_the_sensitivity():
    head, samples = DitheredHead(epsilon=5.0, delta=1e-5, norm=1.0, decay=0.02), embedded(60)
    minimiser = head._minimiser(samples.x, samples.y, 3)
    moves = []
    for row in range(0, 60, 5):
        x, y = samples.x.copy(), samples.y.copy()
        x[row], y[row] = -x[row] / np.linalg.norm(x[row]), (y[row] + 1) % 3
        moves.append(np.linalg.norm(head._minimiser(x, y, 3) - minimiser))
    assert 0.05 * head.sensitivity(60) < max(moves) <= head.sensitivity(60)


def test_as_the_recipe_of_a_task_it_draws_noise_of_its_own_for_each_model_and_repeats_itself():
    task = qm.Task(lambda: nn.Linear(5, 3, bias=False), recipe=DitheredHead(2.0, 1e-5, norm=1.0, decay=0.05))
    member = np.ones((2, 400), dtype=bool)
    first, again = (train(Training(task, embedded(), member, range(2), 0, "loop")) for _ in range(2))
    assert not torch.equal(first[0].weight, first[1].weight)
    assert all(torch.equal(one.weight, other.weight) for one, other in zip(first, again, strict=True))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"epsilon": 0.0}, "epsilon: expected"),
        ({"epsilon": math.inf}, "epsilon: expected"),
        ({"delta": 0.0}, "delta: expected"),
        ({"decay": 0.0}, "decay must be a positive"),
        ({"norm": math.inf}, "norm must be a positive"),
    ],
)
def test_what_guarantees_nothing_is_refused(changes: dict[str, float], why: str):
    with pytest.raises(UserError, match=why):
        DitheredHead(**{"epsilon": 1.0, "delta": 1e-5, "norm": 1.0, "decay": 0.1} | changes)


def test_what_would_void_the_guarantee_is_refused():
    head, samples, stream = DitheredHead(1.0, 1e-5, norm=1.0, decay=0.1), embedded(), torch.Generator()
    with pytest.raises(UserError, match="one Linear layer without bias"):
        head(nn.Linear(5, 3), samples, stream)
    with pytest.raises(UserError, match="one Linear layer without bias"):
        head(nn.Sequential(nn.Linear(5, 4, bias=False), nn.ReLU(), nn.Linear(4, 3, bias=False)), samples, stream)
    with pytest.raises(UserError, match=r"norm 2\.\d+, above the 1 that was promised"):
        head(nn.Linear(5, 3, bias=False), Samples(2.5 * samples.x, samples.y), stream)
    with pytest.raises(UserError, match="is no guarantee for 400 records"):
        DitheredHead(1.0, 0.01, norm=1.0, decay=0.1)(nn.Linear(5, 3, bias=False), samples, stream)
    with pytest.raises(UserError, match="cross-entropy of two classes"):
        head(nn.Linear(5, 1, bias=False), Samples(samples.x, samples.x[:, 0]), stream)
