"""Claims about training many models together."""

import numpy as np
import pytest
import torch
from torch import nn

from quantmis import seeds
from quantmis.data import Samples, complementary_halves
from quantmis.errors import UserError
from quantmis.models import Recipe, Task, training


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(144, 10),
    )


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(x.unflatten(1, (8, 8))).mean(1))


class Stubborn(nn.Module):
    """Decide by its data which way to go, which vmap cannot follow."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) if x.sum().item() > 0 else -self.layer(x)


def trained(task: Task, samples: Samples, models: int, engine: str, seed: int = 0) -> list[nn.Module]:
    member = complementary_halves(models, len(samples), seeds.generator(seed, "membership"))
    groups = training.train(task, samples, member, seed, training.Engine(engine))
    return [module for _, modules in groups for module in modules]


def largest_difference(first: list[nn.Module], second: list[nn.Module]) -> float:
    pairs = zip(first, second, strict=True)
    return max(
        (a - b).abs().max().item() for x, y in pairs for a, b in zip(x.parameters(), y.parameters(), strict=True)
    )


# Attention under Adam is left out: the bias of its keys has no effect, and Adam scales up the noise in its gradient
@pytest.mark.parametrize(("model", "optimizer"), [(mlp, "adam"), (mlp, "adamw"), (mlp, "sgd"), (Attention, "sgd")])
def test_models_trained_together_are_those_trained_one_by_one(digits: Samples, model, optimizer: str):
    task = Task(model, recipe=Recipe(epochs=4, optimizer=optimizer, learning_rate=1e-2, weight_decay=1e-3))
    few = digits.take(np.arange(200))
    together, alone = (trained(task, few, 4, engine) for engine in ("stacked", "loop"))
    assert largest_difference(together, alone) < 1e-4


def test_batch_norm_keeps_its_own_statistics_in_every_model(digits: Samples):
    task = Task(cnn, recipe=Recipe(epochs=2))
    few = digits.take(np.arange(128))
    assert training.choose_engine(task, few).name == "stacked"
    together, alone = (trained(task, few, 2, engine) for engine in ("stacked", "loop"))
    x = torch.from_numpy(few.x)
    for first, second in zip(together, alone, strict=True):
        torch.testing.assert_close(first.eval()(x), second.eval()(x), atol=1e-3, rtol=1e-3)


def test_dropout_is_drawn_anew_for_every_model(digits: Samples):
    task = Task(lambda: nn.Sequential(nn.Dropout(0.5), nn.Linear(64, 10)), recipe=Recipe(epochs=1))
    few = digits.take(np.arange(64))
    assert training.choose_engine(task, few).name == "stacked"
    assert largest_difference(trained(task, few, 2, "stacked"), trained(task, few, 2, "stacked")) == 0


def test_a_model_that_cannot_be_stacked_is_trained_one_by_one_and_says_why(digits: Samples):
    engine = training.choose_engine(Task(Stubborn), digits)
    assert engine.name == "loop"
    assert engine.reason is not None
    assert "vmap" in engine.reason


def test_a_model_does_not_depend_on_those_trained_beside_it(digits: Samples):
    task, few = Task(mlp, recipe=Recipe(epochs=2)), digits.take(np.arange(100))
    member = complementary_halves(8, 100, seeds.generator(0, "membership"))
    some, more = (
        [m for _, g in training.train(task, few, member[:n], 0, training.Engine("stacked")) for m in g] for n in (2, 8)
    )
    assert largest_difference(some, more[:2]) < 1e-5


def test_memory_divides_the_models_into_groups(digits: Samples, monkeypatch: pytest.MonkeyPatch):
    task, few = Task(mlp, recipe=Recipe(epochs=1)), digits.take(np.arange(100))
    whole = trained(task, few, 8, "stacked")
    monkeypatch.setattr(training, "MEMORY", 1)
    member = complementary_halves(8, 100, seeds.generator(0, "membership"))
    parts = list(training.train(task, few, member, 0, training.Engine("stacked")))
    assert [rows for rows, _ in parts] == [range(i, i + 2) for i in range(0, 8, 2)]
    assert largest_difference(whole, [module for _, modules in parts for module in modules]) < 1e-5


def test_training_learns(digits: Samples):
    task = Task(mlp, recipe=Recipe(epochs=15, learning_rate=1e-2))
    modules = trained(task, digits.take(np.arange(1200)), 2, "stacked")
    rest = digits.take(np.arange(1200, 1797))
    for module in modules:
        right = module(torch.from_numpy(rest.x)).argmax(1).numpy() == rest.y
        assert right.mean() > 0.85


def test_a_model_that_diverges_is_named_by_its_seed_address(digits: Samples):
    task = Task(mlp, recipe=Recipe(epochs=2, learning_rate=1e30, optimizer="sgd"))
    with pytest.raises(UserError, match="seed address shadow/0 diverged") as refused:
        trained(task, digits.take(np.arange(100)), 2, "stacked")
    assert refused.value.hint == "lower the learning rate"


def test_training_leaves_the_global_stream_alone(digits: Samples):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    trained(Task(mlp, recipe=Recipe(epochs=1)), digits.take(np.arange(64)), 2, "stacked")
    assert torch.rand(1) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"optimizer": "lion"},
        {"momentum": 1.0},
        {"weight_decay": -1.0},
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_a_recipe_out_of_range_is_refused(wrong: dict[str, object]):
    with pytest.raises(UserError, match=next(iter(wrong))):
        Recipe(**wrong)


def test_a_task_wants_a_way_to_make_models_not_a_model():
    with pytest.raises(UserError, match="got a model") as refused:
        Task(mlp())
    assert "lambda" in (refused.value.hint or "")
    with pytest.raises(UserError, match=r"torch.nn.Module, got int"):
        Task(lambda: 3).build(0)
    with pytest.raises(UserError, match="unknown loss 'cross_entrpy'"):
        Task(mlp, loss="cross_entrpy")
