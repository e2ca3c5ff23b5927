"""Claims about training with differential privacy: gradients, sampling, noise and what is counted for them."""

import math
import warnings

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from quantmis import seeds
from quantmis.data import Samples, complementary_halves
from quantmis.errors import UserError
from quantmis.models import DP, Recipe, Task, ensemble, loop
from quantmis.models.dp import accountant, epsilon_of, mechanism_of, noise_multiplier_for
from quantmis.models.engine import choose_engine
from quantmis.models.per_sample import Differentiated, Factored, per_sample
from quantmis.models.private import descent as private_steps
from quantmis.models.private import poisson, require_separable
from quantmis.models.rehearsal import rehearse
from quantmis.models.training import Training, train
from quantmis.stats.interval import clopper_pearson

with warnings.catch_warnings():  # about itself
    warnings.simplefilter("ignore")
    import opacus
    from opacus.accountants import PRVAccountant
    from opacus.optimizers import DPOptimizer


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10))


def grouped() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)
    )


class Places(nn.Module):
    """Apply its linear layers at each of eight places, so that a sample has a sequence of gradients."""

    def __init__(self):
        super().__init__()
        self.inner, self.head = nn.Linear(8, 6), nn.Linear(6, 10, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.inner(x.unflatten(1, (8, 8))))).mean(1)


class Twice(nn.Module):
    """Go through one layer twice, so that what enters it is not all there is of its gradient."""

    def __init__(self):
        super().__init__()
        self.inner, self.head = nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.inner(torch.tanh(self.inner(x)))))


class Counted(nn.Module):
    """Count the samples that it saw."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 10)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.seen = self.seen + len(x)
        return self.head(x)


def private(model, **fields) -> Task:
    recipe = {"epochs": 2, "batch_size": 24, "optimizer": "sgd", "learning_rate": 0.2, "max_steps": 6} | fields
    return Task(model, recipe=Recipe(**{"dp": DP(noise_multiplier=0.8, delta=1e-5)} | recipe))


def trained(task: Task, samples: Samples, models: int, kind: str = "stacked") -> list[nn.Module]:
    member = complementary_halves(models, len(samples), seeds.generator(0, "membership"))
    return train(Training(task, samples, member, range(models), 0, kind))


def weights(module: nn.Module) -> torch.Tensor:
    return torch.cat([each.detach().flatten() for each in module.parameters()])


@pytest.mark.parametrize(
    ("model", "kind"),
    [(mlp, Factored), (Places, Factored), (Twice, Differentiated), (grouped, Differentiated)],
)
def test_private_models_trained_together_are_those_trained_sample_by_sample(digits: Samples, model, kind):
    task, few = private(model, optimizer="adam", learning_rate=0.01, weight_decay=0.01), digits.take(np.arange(80))
    assert isinstance(per_sample(model(), task.objective, torch.zeros(2, 64)), kind)
    together, alone = (trained(task, few, 2, how) for how in ("stacked", "loop"))
    for first, second in zip(together, alone, strict=True):
        torch.testing.assert_close(weights(first), weights(second), rtol=1e-4, atol=1e-5)


def test_clipped_sums_are_those_of_opacus(digits: Samples):
    torch.manual_seed(0)
    module, batch = mlp(), torch.arange(20)[None]
    x, y = torch.from_numpy(digits.x[:20]), torch.from_numpy(digits.y[:20])
    stack = ensemble.Stack(private(mlp), [module])
    is_drawn = torch.arange(20)[None] < 17
    stack.clipped(x, y, batch, is_drawn, 0.7)
    own = torch.cat([each.grad.flatten() for each in stack.parameters()])
    with warnings.catch_warnings():  # of its hooks, about themselves
        warnings.simplefilter("ignore")
        wrapped = opacus.GradSampleModule(module)
        optimizer = DPOptimizer(
            torch.optim.SGD(wrapped.parameters(), 0.1), noise_multiplier=0.0, max_grad_norm=0.7, expected_batch_size=1
        )
        nn.functional.cross_entropy(wrapped(x[:17]), y[:17]).backward()
        optimizer.clip_and_accumulate()
    theirs = torch.cat([each.summed_grad.flatten() for each in wrapped.parameters()])
    torch.testing.assert_close(own, theirs, rtol=1e-5, atol=1e-6)
    assert theirs.norm() < 17 * 0.7


@pytest.mark.parametrize(("noise", "rate", "steps"), [(1.1, 0.04, 250), (0.7, 0.1, 40), (2.0, 1.0, 3)])
def test_epsilon_is_that_of_another_accountant(noise: float, rate: float, steps: int):
    other = PRVAccountant()
    other.history = [(noise, rate, steps)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = other.get_epsilon(1e-5)
    assert epsilon_of(noise, rate, steps, 1e-5) == pytest.approx(expected, rel=0.02)


def test_one_step_on_everything_is_the_normal_mechanism():
    epsilon = epsilon_of(1.5, 1.0, 1, 1e-4)
    spent = stats.norm.cdf(1 / 3 - 1.5 * epsilon) - math.exp(epsilon) * stats.norm.cdf(-1 / 3 - 1.5 * epsilon)
    assert spent == pytest.approx(1e-4, rel=0.01)  # Balle and Wang 2018, theorem 8


@pytest.mark.parametrize(("epsilon", "rate", "steps"), [(1.0, 0.02, 50), (8.0, 0.05, 200)])
def test_the_noise_is_the_least_that_keeps_epsilon(epsilon: float, rate: float, steps: int):
    noise = noise_multiplier_for(epsilon, 1e-5, rate, steps)
    assert epsilon_of(noise, rate, steps, 1e-5) <= epsilon < epsilon_of(noise * 0.99, rate, steps, 1e-5)
    assert mechanism_of(DP(epsilon=epsilon, delta=1e-5), rate, steps).noise_multiplier == noise


def test_every_sample_is_drawn_by_a_coin_of_its_own_and_none_is_cut_off():
    rows, rate, steps = [np.arange(10, 70), np.arange(300, 340)], 0.3, 1500
    orders = [np.random.default_rng(seed) for seed in range(2)]
    sizes, hits = [], np.zeros(60)
    for _ in range(steps):
        batch, is_drawn = poisson(rows, rate, orders)
        assert set(batch[1][is_drawn[1]].tolist()) <= set(range(300, 340))
        own = batch[0][is_drawn[0]].numpy() - 10
        assert len(set(own.tolist())) == len(own)
        sizes.append(len(own))
        hits[own] += 1
    assert abs(hits / steps - rate).max() < 5 * math.sqrt(rate * (1 - rate) / steps)
    observed = np.bincount(sizes, minlength=61)[10:27]
    expected = steps * stats.binom.pmf(np.arange(10, 27), 60, rate)
    assert stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 0.001


def test_a_private_model_does_not_depend_on_those_trained_beside_it(digits: Samples):
    few = digits.take(np.arange(80))
    member = complementary_halves(4, 80, seeds.generator(0, "membership"))
    whole = train(Training(private(mlp), few, member, range(4), 0))
    last = train(Training(private(mlp), few, member[2:], range(2, 4), 0))
    torch.testing.assert_close(weights(whole[3]), weights(last[1]), rtol=1e-5, atol=1e-6)
    assert (weights(whole[2]) - weights(whole[3])).abs().max() > 0.01


class Weight(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.layer.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def outcomes(models: int, is_in: bool, seed: int, noise: float, norm: float = 0.5) -> np.ndarray:
    """Return the noisy gradient of one weight, in units of the clipping norm, of models with or without one sample.

    One step takes that sample with probability 1/2; its gradient is as long as it may be, that of all others is 0.
    """
    x = torch.zeros(20, 1)
    x[0] = 100.0
    recipe = Recipe(max_steps=1, batch_size=1, dp=DP(noise_multiplier=noise, delta=0.05, clip_norm=norm))
    group = ensemble.Stack(Task(Weight, "mse", recipe), [Weight() for _ in range(models)])
    rows = [np.array([0, 1]) if is_in else np.array([1])] * models
    orders = [np.random.default_rng([seed, index]) for index in range(models)]
    noises = [torch.Generator().manual_seed(seed * models + index) for index in range(models)]
    for set_gradients in private_steps(group, recipe, rows, 2, orders, noises, (x, x / 2)):
        set_gradients()
    return -next(group.parameters()).grad.flatten().numpy() / norm


def best_threshold(epsilon: float, noise: float) -> float:
    """Return where the likelihood ratio of `outcomes` is e^epsilon."""
    return 0.5 + noise**2 * math.log(2 * math.exp(epsilon) - 1)


def test_the_loss_of_privacy_of_a_step_is_what_the_accountant_says_and_no_more():
    models, noise, delta = 4000, 0.7, 0.05
    inside, outside = (outcomes(models, is_in, seed, noise) for seed, is_in in enumerate((True, False)))
    law = stats.norm(0, noise)
    assert stats.kstest(outside, law.cdf).pvalue > 1e-3
    assert stats.kstest(inside, lambda z: (law.cdf(z - 1) + law.cdf(z)) / 2).pvalue > 1e-3
    epsilon = epsilon_of(noise, 0.5, 1, delta)
    above = [float(np.mean(each > best_threshold(epsilon, noise))) for each in (inside, outside)]
    spent = above[0] - math.exp(epsilon) * above[1]
    error = math.sqrt((above[0] + math.exp(2 * epsilon) * above[1]) / models)
    assert abs(spent - delta) < 4 * error < delta


@pytest.mark.slow
def test_the_best_attack_on_the_worst_case_refutes_the_certificate_of_at_most_one_seed_in_twenty():
    models, noise, delta = 400, 0.8, 1e-3
    certified = epsilon_of(noise, 0.5, 1, delta)
    bounds = list[float]()
    for seed in range(20):
        tpr, fpr = (
            clopper_pearson(int((outcomes(models, is_in, 2 * seed + is_in, noise) > 0.9).sum()), models, 0.975)
            for is_in in (True, False)
        )
        bounds.append(math.log(max((tpr[0] - delta) / fpr[1], 1.0)))
    assert sum(bound > certified for bound in bounds) <= 1
    assert np.median(bounds) > 0.2


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: nn.Sequential(nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 10)), "the layer 1, BatchNorm1d"),
        (
            lambda: nn.Sequential(nn.Unflatten(1, (1, 64)), nn.InstanceNorm1d(1, track_running_stats=True)),
            "the layer 1, InstanceNorm1d",
        ),
        (Counted, "the buffer seen"),
    ],
)
def test_a_layer_that_mixes_samples_is_refused_with_what_to_use_instead(digits: Samples, model, message: str):
    with pytest.raises(UserError, match=message) as refusal:
        rehearse(private(model), digits, 100)
    assert "GroupNorm" in str(refusal.value.hint)
    require_separable(nn.Sequential(nn.InstanceNorm1d(3), nn.Dropout(0.5)), torch.ones(2, 3, 4))


def test_dropout_and_layers_of_every_kind_are_trained_together(digits: Samples):
    def dropped() -> nn.Module:
        return nn.Sequential(nn.Linear(64, 16), nn.Dropout(0.5), nn.LayerNorm(16), nn.Linear(16, 10))

    engine = choose_engine(private(dropped), digits, 2, kind="stacked")
    assert "stacked" not in engine.reasons
    first, second = trained(private(dropped), digits.take(np.arange(80)), 2)
    assert (weights(first) - weights(second)).abs().max() > 0.01


def test_noise_is_that_of_the_recipe_in_both_ways(digits: Samples):
    few, member = digits.take(np.arange(20)), np.tile(np.arange(20) < 4, (2, 1))
    fields = {"batch_size": 4, "max_steps": 1, "momentum": 0.0, "learning_rate": 1.0}
    silent = private(mlp, dp=DP(noise_multiplier=1e-12, delta=1e-5, clip_norm=2.0), **fields)
    loud = private(mlp, dp=DP(noise_multiplier=50.0, delta=1e-5, clip_norm=2.0), **fields)
    for kind in ("stacked", "loop"):
        pairs = [train(Training(task, few, member, range(2), 0, kind)) for task in (silent, loud)]
        noise = (weights(pairs[1][0]) - weights(pairs[0][0])).numpy() * 4 / (50.0 * 2.0)
        assert stats.kstest(noise, "norm").pvalue > 1e-3
    assert isinstance(loop.Row(silent, [mlp()]).size, int)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epsilon": 0.0, "delta": 1e-5}, "dp.epsilon: expected a positive number, got 0"),
        ({"epsilon": -1.0, "delta": 1e-5}, "dp.epsilon"),
        ({"epsilon": math.inf, "delta": 1e-5}, "dp.epsilon: expected a positive number, got inf"),
        ({"epsilon": math.nan, "delta": 1e-5}, "dp.epsilon"),
        ({"epsilon": 8.0, "delta": 0.0}, "dp.delta"),
        ({"epsilon": 8.0, "delta": 1.0}, "dp.delta"),
        ({"epsilon": 8.0, "delta": math.nan}, "dp.delta"),
        ({"epsilon": 8.0, "delta": 1e-5, "clip_norm": 0.0}, "dp.clip_norm"),
        ({"noise_multiplier": 0.0, "delta": 1e-5}, "dp.noise_multiplier"),
        ({"delta": 1e-5}, "epsilon or noise_multiplier"),
        ({"epsilon": 8.0, "noise_multiplier": 1.0, "delta": 1e-5}, "one of them"),
    ],
)
def test_what_guarantees_nothing_is_refused(fields: dict[str, float], message: str):
    with pytest.raises(UserError, match=message):
        DP(**fields)


def test_clipping_batches_and_clipping_samples_exclude_each_other():
    with pytest.raises(UserError, match="clip_norm bounds the gradient of a whole batch"):
        Recipe(clip_norm=1.0, dp=DP(epsilon=8, delta=1e-5))
    described = Recipe(dp=DP(epsilon=8, delta=1e-5)).as_dict()
    assert described["dp_epsilon"] == 8
    assert "dp" not in described
    assert "clip_norm" not in described


def test_the_accountant_is_named_with_its_version():
    assert accountant().startswith("dp-accounting 0.")
