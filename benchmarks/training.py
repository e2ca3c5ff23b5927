"""How much faster shadow models train here than one after the other in plain PyTorch, and what they cost.

    python benchmarks/training.py [--fast]

Every ratio compares two measurements of one run: the same recipe on the same samples, by the engine that an audit would
choose and by a loop over models as every tutorial writes it. Written to RESULTS.md.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from _results import write_section
from sklearn.datasets import load_digits
from torch import nn

from quantmis import seeds
from quantmis.audit.collect import collect
from quantmis.audit.executors import Local
from quantmis.audit.work import Work
from quantmis.data import Samples, complementary_halves
from quantmis.models import Recipe, Task
from quantmis.models.engine import choose_engine
from quantmis.quantizers import Identity


def head() -> nn.Module:
    return nn.Sequential(nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, 2))


def small_cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(784, 10),
    )


def digits_mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


def noise(samples: int, *shape: int, classes: int) -> Samples:
    draw = seeds.generator(0, "benchmark")
    return Samples(draw.normal(size=(samples, *shape)), draw.integers(0, classes, samples))


def work(task: Task, samples: Samples, models: int, engine: str = "auto") -> Work:
    member = complementary_halves(models, len(samples), seeds.generator(0, "membership"))
    return Work(task, samples, member, (Identity(),), 0, choose_engine(task, samples, models, engine))


def sequential(task: Task, samples: Samples, models: int) -> float:
    """Return the seconds that a plain loop takes per model, measured on a few."""
    assert isinstance(task.recipe, Recipe)
    x, y = torch.from_numpy(samples.x), torch.from_numpy(samples.y)
    draw = np.random.default_rng(0)
    start = time.perf_counter()
    for _ in range(models):
        module = task.model()
        optimizer = torch.optim.Adam(module.parameters(), lr=task.recipe.learning_rate)
        members = draw.permutation(len(samples))[: len(samples) // 2]
        for _ in range(task.recipe.epochs):
            for batch in np.array_split(draw.permutation(members), len(members) // task.recipe.batch_size):
                optimizer.zero_grad()
                nn.functional.cross_entropy(module(x[batch]), y[batch]).backward()
                optimizer.step()
    return (time.perf_counter() - start) / models


def race(name: str, model: Callable[[], nn.Module], samples: Samples, models: int, epochs: int, few: int) -> str:
    task = Task(model, recipe=Recipe(epochs=epochs))
    alone = min(sequential(task, samples, few) for _ in range(2))
    whole = work(task, samples, models)
    start = time.perf_counter()
    collect(whole, Local(), None, tick=lambda done: None)
    together = (time.perf_counter() - start) / models
    return (
        f"| {name} | {models} | {whole.engine.way}, groups of {whole.engine.group}, {whole.engine.workers} workers "
        f"| {alone * 1e3:.0f} ms | {together * 1e3:.1f} ms | **{alone / together:.1f}x** |"
    )


def seconds(models: int) -> float:
    """Return how long so many models of the digits demo take."""
    images, labels = load_digits(return_X_y=True)
    samples = Samples(images[:1198] / 16, labels[:1198])
    start = time.perf_counter()
    collect(work(Task(digits_mlp, recipe=Recipe(epochs=40)), samples, models), Local(), None, tick=lambda done: None)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="a tenth of the work, to see that it runs")
    fast = parser.parse_args().fast
    scale = 10 if fast else 1
    rows = [
        race("MLP 512-128-2, 2,000 samples", head, noise(2000, 512, classes=2), 256 // scale // 2 * 2, 10, 4),
        race("CNN, 28 x 28, 1,000 samples", small_cnn, noise(1000, 1, 28, 28, classes=10), 64 // scale // 2 * 2, 2, 4),
    ]
    costs = [(models, seconds(models)) for models in (64, 256, 1024 // scale // 2 * 2)]
    lines = [
        "| model | models | engine | loop, per model | here, per model | ratio |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        "The loop is plain PyTorch with its default threads; here means training and filling the full-precision table.",
        "",
        "| models of the digits demo | time |",
        "|---|---|",
        *(f"| {models:,} | {taken:.0f} s |" for models, taken in costs),
        "",
        "Against what time and memory grow: section `scale`.",
    ]
    print("\n".join(lines))
    if not fast:
        write_section("Training shadow models", "\n".join(lines), ("torch", "numpy"))


if __name__ == "__main__":
    Path(__file__).parent.mkdir(exist_ok=True)
    main()
