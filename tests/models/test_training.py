"""Claims about training many models together."""

import copy
import functools
import subprocess
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from torch import nn

from quantmis import seeds
from quantmis.data import Samples, complementary_halves
from quantmis.errors import UserError
from quantmis.models import Recipe, Task, engine
from quantmis.models.convolution import Im2col
from quantmis.models.engine import choose_engine
from quantmis.models.linear import Transposed
from quantmis.models.streams import Apart, Streams
from quantmis.models.training import Training, train


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


def trained(task: Task, samples: Samples, models: int, kind: str, seed: int = 0) -> list[nn.Module]:
    member = complementary_halves(models, len(samples), seeds.generator(seed, "membership"))
    return train(Training(task, samples, member, range(models), seed, kind))


def largest_difference(first: list[nn.Module], second: list[nn.Module]) -> float:
    pairs = zip(first, second, strict=True)
    return max(
        (a - b).abs().max().item() for x, y in pairs for a, b in zip(x.parameters(), y.parameters(), strict=True)
    )


class Embedded(nn.Module):
    """Embed the pixels, rounded to whole numbers."""

    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(17, 4), nn.Linear(4, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.table((x * 16).long().clamp(0, 16)).mean(1))


class WithDropout(Attention):
    """Drop attention weights and units, as transformers do."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.3, batch_first=True)


class Noisy(nn.Module):
    """Add noise to the inputs while training."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x + torch.randn_like(x) if self.training else x)


def normed() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 16), nn.LayerNorm(16), nn.ReLU(), nn.Linear(16, 10))


def convolutional() -> nn.Module:
    first, second = nn.Conv2d(1, 4, 3, stride=2), nn.GroupNorm(2, 4)
    return nn.Sequential(nn.Unflatten(1, (1, 8, 8)), first, second, nn.ReLU(), nn.Flatten(), nn.Linear(36, 10))


def dropped() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 10))


def channels_dropped() -> nn.Module:
    layers = nn.Conv2d(1, 4, 3, stride=2), nn.Dropout2d(0.3), nn.AlphaDropout(0.2), nn.ReLU()
    return nn.Sequential(nn.Unflatten(1, (1, 8, 8)), *layers, nn.Flatten(), nn.Linear(36, 10))


PLAIN = [mlp, normed, convolutional, Embedded, Attention]
RANDOM = [dropped, channels_dropped, WithDropout, Noisy]


@pytest.mark.slow
@pytest.mark.parametrize("model", [*PLAIN, *RANDOM])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_models_trained_together_are_those_trained_one_by_one(digits: Samples, model, optimizer: str):
    """Fifty steps from the same streams, those of dropout included."""
    if optimizer != "sgd" and model in (Attention, WithDropout):
        pytest.skip("the bias of attention's keys has no effect, and Adam scales up the noise in its gradient")
    task = Task(model, recipe=Recipe(epochs=10, optimizer=optimizer, learning_rate=1e-2, weight_decay=1e-3))
    few = digits.take(np.arange(320))
    assert task.steps(160) == 50
    together, alone = (trained(task, few, 4, engine) for engine in ("stacked", "loop"))
    assert largest_difference(together, alone) < 1e-4


def test_batch_norm_keeps_its_own_statistics_in_every_model(digits: Samples):
    task = Task(cnn, recipe=Recipe(epochs=2))
    few = digits.take(np.arange(128))
    assert not choose_engine(task, few, 4).reasons
    together, alone = (trained(task, few, 2, engine) for engine in ("stacked", "loop"))
    x = torch.from_numpy(few.x)
    for first, second in zip(together, alone, strict=True):
        torch.testing.assert_close(first.eval()(x), second.eval()(x), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("model", RANDOM)
@pytest.mark.parametrize("kind", ["stacked", "loop"])
def test_dropout_does_not_depend_on_those_trained_beside_a_model(digits: Samples, model, kind: str):
    task, few = Task(model, recipe=Recipe(epochs=2, optimizer="sgd")), digits.take(np.arange(100))
    assert not choose_engine(task, few, 4, kind).reasons
    member = complementary_halves(8, 100, seeds.generator(0, "membership"))
    whole = train(Training(task, few, member, range(8), 0, kind))
    part = train(Training(task, few, member[4:6], range(4, 6), 0, kind))
    assert largest_difference(part, whole[4:6]) < 1e-6


def test_dropout_differs_between_models_and_steps(digits: Samples):
    """Models of equal weights, samples and order, whose losses differ by dropout alone."""
    streams, x = Streams([1, 2]), torch.ones(2, 1000)
    with Apart(streams):
        first, second = (torch.func.vmap(nn.functional.dropout, randomness="different")(x) for _ in range(2))
    kept = [mask != 0 for mask in (*first, *second)]
    assert all(mask.float().mean() == pytest.approx(0.5, abs=0.06) for mask in kept)
    agree = [(a == b).float().mean().item() for k, a in enumerate(kept) for b in kept[:k]]
    assert agree == pytest.approx([0.5] * 6, abs=0.07)


def test_the_fastest_way_is_taken_and_a_near_tie_goes_to_the_first(monkeypatch: pytest.MonkeyPatch, digits: Samples):
    def chosen(**seconds: float) -> str:
        monkeypatch.setattr(engine, "_seconds", lambda probe, recipe, kind, apart, steps: seconds[kind])
        return choose_engine(Task(convolutional), digits, 4).kind

    assert chosen(stacked=137e-6, im2col=200e-6, loop=88e-6) == "loop"
    assert chosen(stacked=100e-6, im2col=80e-6, loop=95e-6) == "im2col"
    assert chosen(stacked=100e-6, im2col=95e-6, loop=91e-6) == "stacked"


def test_the_choice_is_made_by_processor_time_alone(monkeypatch: pytest.MonkeyPatch, digits: Samples):
    """No other clock is read; a process per core shares the time and adds its start."""
    monkeypatch.setattr(engine, "time", SimpleNamespace(process_time=time.process_time))
    assert choose_engine(Task(mlp), digits, 8).seconds.keys() == {"stacked", "loop"}
    monkeypatch.setattr(engine, "_step", lambda probe, recipe, kind, clock, threads: 8.0 if clock() >= 0 else 0.0)
    monkeypatch.setattr(engine, "cores", lambda: 4)
    task = Task(mlp, recipe=Recipe(max_steps=10))
    seconds = choose_engine(task, digits, 20).seconds
    assert seconds == {"stacked": 8.0, "loop": pytest.approx(8.0 / 4 + engine.START / (10 * 20))}


@pytest.mark.parametrize("tick", [0.004, 1 / 64])
def test_a_clock_that_stands_still_between_readings_measures_the_same(
    monkeypatch: pytest.MonkeyPatch, digits: Samples, tick: float
):
    """As where an interval timer counts processor time, or on Windows: no step takes nothing."""
    done: list[int] = []

    def trained(training: Training, tick: Callable[[int], None]) -> None:
        for _ in range(training.task.recipe.max_steps):
            done.append(1)
            tick(2)

    def clock() -> float:
        return len(done) * 3e-3 // tick * tick  # a step takes 3 ms

    monkeypatch.setattr(engine, "train", trained)
    probe = engine._first(engine._probe(Task(mlp), digits, 8), 2)
    assert engine._step(probe, Recipe(), "loop", clock, 1) == pytest.approx(3e-3 / 2, rel=0.15)


@pytest.mark.slow
def test_the_choice_is_the_same_beside_busy_processes(digits: Samples):
    """On a wide network whose stack takes about a third of the time of a loop."""
    task = Task(lambda: nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)), recipe=Recipe(epochs=3))
    quiet = choose_engine(task, digits, 64).kind
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(engine.cores())]
    try:
        assert [choose_engine(task, digits, 64).kind for _ in range(10)] == [quiet] * 10
    finally:
        for process in busy:
            process.kill()
            process.wait()


def test_long_trainings_are_stacked_in_a_process_per_core(monkeypatch: pytest.MonkeyPatch, digits: Samples):
    monkeypatch.setattr(engine, "cores", lambda: 4)
    monkeypatch.setattr(engine, "LARGEST_GROUP", 64)
    long = Task(mlp, recipe=Recipe(epochs=3000))
    chosen = choose_engine(long, digits, 64, "stacked")
    assert (chosen.workers, chosen.threads, chosen.group) == (4, 1, 16)
    assert choose_engine(long, digits, 64, "stacked", memory=1).group == 2
    short = choose_engine(Task(mlp), digits, 8, "stacked")
    assert (short.workers, short.threads, short.group) == (1, 4, 8)


class Counting(nn.Module):
    """Do something else at every second step, and count the steps in Python."""

    def __init__(self):
        super().__init__()
        self.layer, self.steps = nn.Linear(64, 10), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.steps += 1
        return self.layer(x) * (1 + self.steps % 2)


class Numpy(nn.Module):
    """Drop by NumPy's stream."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x * float(np.random.rand() < 0.5))  # noqa: NPY002


class Unseeded(Numpy):
    """Drop by a stream that nobody can repeat."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x * np.random.default_rng().random())


class Reassigned(nn.Module):
    """Replace a buffer instead of changing it."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)
        self.register_buffer("mean", torch.zeros(64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.mean = 0.5 * self.mean + x.detach().mean(0)
        return self.layer(x - self.mean)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (Counting, "changes self.steps"),
        (Numpy, "NumPy's or Python's stream"),
        (Unseeded, "a stream of its own"),
        (Reassigned, "not close"),
    ],
)
def test_what_a_forward_does_beside_computing_is_a_reason_to_train_one_by_one(digits: Samples, model, why: str):
    chosen = choose_engine(Task(model), digits, 4)
    assert chosen.kind == "loop"
    assert why in chosen.reasons["stacked"]
    assert why in chosen.describe()


def test_numpys_stream_in_a_forward_belongs_to_the_model_too(digits: Samples):
    task, few = Task(Numpy, recipe=Recipe(epochs=2, optimizer="sgd")), digits.take(np.arange(100))
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    first, again = (trained(task, few, 4, "loop") for _ in range(2))
    assert largest_difference(first, again) == 0
    assert np.random.rand() == expected, "the shared stream is left alone"  # noqa: NPY002


def test_a_model_that_cannot_be_stacked_is_trained_one_by_one_and_says_why(digits: Samples):
    chosen = choose_engine(Task(Stubborn), digits, 4)
    assert chosen.kind == "loop"
    assert "vmap" in chosen.reasons["stacked"]
    with pytest.raises(UserError, match="engine 'stacked' cannot train this model"):
        choose_engine(Task(Stubborn), digits, 4, "stacked")


def test_convolutions_as_products_train_the_same_models(digits: Samples):
    task = Task(cnn, recipe=Recipe(epochs=2, optimizer="sgd", learning_rate=0.05))
    few = digits.take(np.arange(128))
    together, alone = (trained(task, few, 2, kind) for kind in ("im2col", "loop"))
    assert largest_difference(together, alone) < 1e-4


def test_a_linear_layer_of_a_stack_is_the_layer_and_its_gradient_lies_as_its_weights_do():
    layer, draw = nn.Linear(6, 4), torch.Generator().manual_seed(0)
    for shape in ((6,), (5, 6), (2, 3, 6)):
        x = torch.randn(shape, generator=draw)
        with Transposed():
            torch.testing.assert_close(layer(x), nn.functional.linear(x, layer.weight, layer.bias))
    weight = torch.randn(3, 4, 6, requires_grad=True)
    x = torch.randn(3, 5, 6)

    def gradient() -> torch.Tensor:
        return torch.autograd.grad(torch.func.vmap(nn.functional.linear)(x, weight).sum(), weight)[0]

    assert not gradient().is_contiguous()
    with Transposed():
        assert gradient().is_contiguous()


def test_a_convolution_as_a_product_is_the_convolution():
    draw = torch.Generator().manual_seed(0)
    for stride, padding, dilation in ((1, 0, 1), (2, 1, 1), (1, 2, 2), ((2, 1), (0, 2), (1, 2))):
        layer = nn.Conv2d(3, 5, (3, 2), stride, padding, dilation)
        x = torch.randn(4, 3, 11, 9, generator=draw)
        with Im2col():
            found = layer(x)
        torch.testing.assert_close(found, layer(x))


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(epochs=3, schedule="cosine", warmup_steps=4, learning_rate=1e-2),
        Recipe(epochs=3, schedule="linear", clip_norm=0.05, optimizer="sgd", learning_rate=0.1),
        Recipe(epochs=3, label_smoothing=0.2, learning_rate=1e-2),
        Recipe(epochs=9, max_steps=5),
    ],
    ids=str,
)
def test_every_field_of_the_recipe_means_the_same_in_both_ways(digits: Samples, recipe: Recipe):
    few = digits.take(np.arange(120))
    together, alone = (trained(Task(mlp, recipe=recipe), few, 4, kind) for kind in ("stacked", "loop"))
    plain = trained(Task(mlp, recipe=Recipe(epochs=3, learning_rate=recipe.learning_rate)), few, 4, "stacked")
    assert largest_difference(together, alone) < 1e-4
    assert largest_difference(together, plain) > 1e-3


def test_the_rate_rises_then_falls():
    recipe = Recipe(schedule="cosine", warmup_steps=10)
    optimizer = recipe.optimizer_over([torch.zeros(1, requires_grad=True)])
    schedule = recipe.schedule_of(optimizer, 50)
    rates = []
    for _ in range(50):
        rates.append(optimizer.param_groups[0]["lr"] / recipe.learning_rate)
        optimizer.step()
        schedule.step()
    assert rates[:10] == pytest.approx([step / 10 for step in range(1, 11)])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[30] == pytest.approx(0.5)


def test_checkpoints_are_the_models_on_their_way(digits: Samples):
    few, seen = digits.take(np.arange(64)), {}
    member = complementary_halves(2, 64, np.random.default_rng(0))

    def keep(step: int, modules: list[nn.Module]) -> None:
        seen[step] = [copy.deepcopy(module) for module in modules]
        for module in modules:  # what is done to a checkpoint does not reach the models that go on training
            nn.init.constant_(module[0].weight, float("nan"))

    for kind in ("stacked", "loop"):
        train(Training(Task(mlp, recipe=Recipe(epochs=4)), few, member, range(2), 0, kind, (1, 3)), keep=keep)
        assert sorted(seen) == [1, 3]
        until = Recipe(epochs=4, max_steps=3)
        short = train(Training(Task(mlp, recipe=until), few, member, range(2), 0, kind))
        assert largest_difference(seen[3], short) < 1e-6
        seen.clear()


def test_a_model_does_not_depend_on_those_trained_beside_it(digits: Samples):
    task, few = Task(mlp, recipe=Recipe(epochs=2)), digits.take(np.arange(100))
    member = complementary_halves(8, 100, seeds.generator(0, "membership"))
    whole = train(Training(task, few, member, range(8), 0))
    part = train(Training(task, few, member[4:6], range(4, 6), 0))
    assert largest_difference(part, whole[4:6]) < 1e-5


def test_memory_bounds_the_group(digits: Samples, monkeypatch: pytest.MonkeyPatch):
    task = Task(mlp)
    assert choose_engine(task, digits, 1000, "stacked").group == engine.LARGEST_GROUP
    monkeypatch.setattr(engine, "MEMORY", 100_000)
    assert choose_engine(task, digits, 1000, "stacked").group < 16
    assert choose_engine(task, digits, 1000, "stacked", memory=1).group == 2


def mean_by_hand(model: nn.Module, samples: Samples, generator: torch.Generator) -> nn.Module:
    """A recipe of the user's own: one full-batch step per draw of the generator."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(int(torch.randint(3, 6, (), generator=generator))):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(torch.from_numpy(samples.x)), torch.from_numpy(samples.y)).backward()
        optimizer.step()
    return model


def test_a_recipe_may_be_a_function(digits: Samples):
    task, few = Task(mlp, recipe=mean_by_hand), digits.take(np.arange(100))
    chosen = choose_engine(task, few, 4)
    assert chosen.kind == "loop"
    first, again = (trained(task, few, 4, "loop") for _ in range(2))
    assert largest_difference(first, again) == 0
    assert task.describe_recipe()["function"].endswith("mean_by_hand")


def returning(change) -> object:
    return lambda model, samples, generator: change(model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: nn.Linear(64, 10), "returned another model than it was given"),
        (lambda model: nn.Sequential(model[0], nn.Tanh(), model[2]), "returned another model than it was given"),
        (lambda model: None, "returned another model than it was given"),
        (lambda model: model.to("meta"), "without values, on the device meta"),
        (lambda model: model.half(), r"as torch\.float16, where it was given torch\.float32"),
        (lambda model: model.double(), r"as torch\.float64, where it was given torch\.float32"),
        (lambda model: nn.init.constant_(model[0].weight, float("nan")) is None or model, "diverged"),
    ],
)
def test_a_recipe_that_returns_no_trained_model_is_named_by_its_seed_address(digits: Samples, change, message: str):
    with pytest.raises(UserError, match=message) as refused:
        trained(Task(mlp, recipe=returning(change)), digits.take(np.arange(40)), 2, "loop")
    assert "shadow/0" in str(refused.value)


class Steps:
    """A recipe that is an object."""

    def __init__(self, rate: float):
        self.rate = rate

    def __call__(self, model: nn.Module, samples: Samples, generator: torch.Generator) -> nn.Module:
        return at_rate(model, samples, generator, self.rate)


def at_rate(model: nn.Module, samples: Samples, generator: torch.Generator, rate: float) -> nn.Module:
    with torch.no_grad():
        model[0].bias += rate
    return model


@pytest.mark.parametrize("recipe", [functools.partial(at_rate, rate=0.5), Steps(0.5)])
def test_a_recipe_may_be_a_partial_or_an_object(digits: Samples, recipe):
    task, few = Task(mlp, recipe=recipe), digits.take(np.arange(100))
    assert len(trained(task, few, 2, choose_engine(task, few, 2).kind)) == 2
    assert task.describe_recipe()["function"].rpartition(":")[2] in ("at_rate", "Steps")


@pytest.mark.slow
@pytest.mark.parametrize("model", [*PLAIN, *RANDOM, cnn])
def test_training_together_keeps_the_law_of_final_losses(digits: Samples, model):
    """Over 200 models, stacked against one by one, from other streams."""
    task = Task(model, recipe=Recipe(epochs=2, batch_size=20, learning_rate=1e-2))
    few = digits.take(np.arange(80))
    x, y = torch.from_numpy(few.x), torch.from_numpy(few.y)

    def losses(kind: str, seed: int) -> list[float]:
        models = trained(task, few, 200, kind, seed)
        return [nn.functional.cross_entropy(model.eval()(x), y).item() for model in models]

    assert ks_2samp(losses("stacked", 0), losses("loop", 1)).pvalue > 0.01


@pytest.mark.slow
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
    assert "lambda" not in (refused.value.hint or ""), "lambda: model would make the same one each time"
    with pytest.raises(UserError, match=r"torch.nn.Module, got int"):
        Task(lambda: 3).build(0)
    with pytest.raises(UserError, match="unknown loss 'cross_entrpy'"):
        Task(mlp, loss="cross_entrpy")


def test_a_mistake_in_a_recipe_of_the_users_own_is_told_with_its_line(digits: Samples):
    def mistaken(model: nn.Module, samples: Samples, generator: torch.Generator) -> nn.Module:
        return model(samples.labels)

    with pytest.raises(UserError, match="recipe failed at seed address shadow/0: AttributeError") as refused:
        trained(Task(mlp, recipe=mistaken), digits.take(np.arange(40)), 2, "loop")
    assert "return model(samples.labels)" in (refused.value.hint or "")


class Padded(nn.Module):
    """Classify the mean of the embeddings of a sequence, whose padding is entry 0."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(12, 8, padding_idx=0)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.table(x).mean(1))


def test_the_entry_that_pads_sequences_is_not_trained_in_a_stack_either():
    draw = np.random.default_rng(0)
    few = Samples(draw.integers(0, 12, (64, 5)), draw.integers(0, 3, 64))
    task = Task(Padded, recipe=Recipe(epochs=5, optimizer="sgd", learning_rate=0.1))
    together, alone = (trained(task, few, 4, kind) for kind in ("stacked", "loop"))
    assert largest_difference(together, alone) < 1e-4
    assert all(bool((module.table.weight[0] == 0).all()) for module in together)
