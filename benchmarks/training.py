"""How much faster shadow models train here than one after the other in plain PyTorch, and what they cost.

    python benchmarks/training.py [--fast] [--only race|cost]

Every ratio compares two measurements of one run: the same recipe on the same samples, by the engine that an audit would
choose and by a loop over models as every tutorial writes it. Written to RESULTS.md.
"""

import argparse
import multiprocessing
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch
from _results import write_section
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from quantmis import seeds
from quantmis.audit.execution.collect import collect
from quantmis.audit.execution.executors import Local
from quantmis.audit.execution.work import Work
from quantmis.data import Samples, complementary_halves
from quantmis.models import Recipe, Task
from quantmis.models.engine import choose_engine, cores
from quantmis.quantizers import Identity

REPEATED = 1
RACE = """`python benchmarks/training.py --only race`. Batches of 32; every model trains on half of the samples. All
times are processor time, because the machine was shared: of the loops with one thread each (with two, a loop may take
less by the clock: on a shared machine that cannot be told), of the engine all its processes and threads, their start
included, divided by the two cores that it keeps busy. The bare loop indexes tensors, the other iterates over
`DataLoader(TensorDataset(...), shuffle=True)`; both train one model after the other, before and after the engine, and
the least counts. The table of full precision is filled too."""
TARGETS = """Aims: 30x for the MLP ({mlp}), 1.7x for the CNN ({cnn}). For the MLP nothing in float32 can
exceed {most:.1f}x the bare loop here: the two products of its first layer alone, batched over 16 models, take
{floor:.0f} ms per model."""


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


def bare(task: Task, samples: Samples) -> None:
    """Train one model as a loop that indexes tensors, the fastest plain one."""
    assert isinstance(task.recipe, Recipe)
    x, y = torch.from_numpy(samples.x), torch.from_numpy(samples.y)
    draw = np.random.default_rng(0)
    members = draw.permutation(len(samples))[: len(samples) // 2]
    module = task.model()
    optimizer = torch.optim.Adam(module.parameters(), lr=task.recipe.learning_rate)
    for _ in range(task.recipe.epochs):
        order = torch.from_numpy(draw.permutation(members))
        for batch in order.split(task.recipe.batch_size):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(x[batch]), y[batch]).backward()
            optimizer.step()


def loader(task: Task, samples: Samples) -> None:
    """Train one model as tutorials write it, with a DataLoader."""
    assert isinstance(task.recipe, Recipe)
    half = slice(0, len(samples) // 2)
    data = TensorDataset(torch.from_numpy(samples.x[half]), torch.from_numpy(samples.y[half]))
    module = task.model()
    optimizer = torch.optim.Adam(module.parameters(), lr=task.recipe.learning_rate)
    for _ in range(task.recipe.epochs):
        for x, y in DataLoader(data, batch_size=task.recipe.batch_size, shuffle=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(x), y).backward()
            optimizer.step()


def processor() -> float:
    """Return the processor time that this process and those it waited for have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def seconds(work: Callable[[], object], threads: int) -> float:
    torch.set_num_threads(threads)
    start = processor()
    work()
    return processor() - start


def products(steps: int, models: int = 16) -> float:
    """Return the time per model, on all cores, of nothing but the two products of the MLP's first layer."""
    x, weight, gradient = torch.randn(models, 32, 512), torch.randn(models, 128, 512), torch.randn(models, 32, 128)

    def step() -> None:
        torch.bmm(x, weight.mT)
        torch.bmm(gradient.mT, x)

    return steps * min(seconds(step, 1) for _ in range(50)) / models / cores()


def race(
    name: str, model: Callable[[], nn.Module], samples: Samples, models: int, epochs: int
) -> tuple[str, list[float]]:
    """Return a row, and what the bare and the DataLoader loop and the engine take per model.

    The loops come before and after the engine, so that all meet the same disturbances; the least counts.
    """
    task = Task(model, recipe=Recipe(epochs=epochs))
    whole = work(task, samples, models)
    loops = {bare: list[float](), loader: list[float]()}
    here = list[float]()
    for turn in range(2 * REPEATED + 1):
        if turn % 2:
            taken = seconds(lambda: collect(whole, Local(), None, tick=lambda done: None), cores())
            here.append(taken / cores() / models)
            continue
        for loop, times in loops.items():
            times.append(seconds(lambda: loop(task, samples), 1))  # noqa: B023 called at once
    least = [*map(min, loops.values()), min(here)]
    ratios = " | ".join(f"**{each / least[-1]:.1f}x**" for each in least[:-1])
    times = " | ".join(f"{each * 1e3:.0f} ms" for each in least)
    return f"| {name} | {models} | {whole.engine.describe()} | {times} | {ratios} |", least


def said(aim: float, least: list[float]) -> str:
    """Say against which loops an aim was reached."""
    told = [
        f"{'reached' if each / least[-1] >= aim else 'missed'} against {name}"
        for each, name in zip(least, ("the bare loop", "the DataLoader loop"), strict=False)
    ]
    return ", ".join(told)


def cost(models: int) -> tuple[float, float]:
    """Return seconds and peak GiB of training so many models of the digits demo, in a process of their own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_cost, models).result()


def _cost(models: int) -> tuple[float, float]:
    images, labels = load_digits(return_X_y=True)
    samples = Samples(images[:1198] / 16, labels[:1198])
    whole = work(Task(digits_mlp, recipe=Recipe(epochs=40)), samples, models)
    start = processor()
    collect(whole, Local(), None, tick=lambda done: None)
    own, largest = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    workers = whole.engine.workers if whole.engine.workers > 1 else 0
    return (processor() - start) / cores(), (own + workers * largest) / 2**20


def races(scale: int) -> str:
    (mlp, first), (cnn, second) = (
        race("MLP 512-128-2, 2,000 samples, 10 epochs", head, noise(2000, 512, classes=2), 256 // scale // 2 * 2, 10),
        race("CNN, 28 x 28, 1,000 samples, 10 epochs", small_cnn, noise(1000, 1, 28, 28, classes=10), 64 // scale, 10),
    )
    floor = products(steps=320)
    told = {"mlp": said(30, first), "cnn": said(1.7, second)}
    targets = TARGETS.format(**told, most=first[0] / floor, floor=floor * 1e3)
    head_ = "| model | models | engine | bare loop | DataLoader loop | here | to the bare | to the DataLoader |"
    return "\n".join([RACE, "", head_, "|---|---|---|---|---|---|---|---|", mlp, cnn, "", targets])


def costs(scale: int) -> str:
    measured = [(models, *cost(models)) for models in (64, 256, 1024 // scale // 2 * 2)]
    return "\n".join(
        [
            "`python benchmarks/training.py --only cost`. Time is processor time divided by the cores, as above;",
            "memory is the sum over the processes.",
            "",
            "| models of the digits demo | time | peak memory |",
            "|---|---|---|",
            *(f"| {models:,} | {taken:.0f} s | {peak:.2f} GiB |" for models, taken, peak in measured),
            "",
            "Memory grows with the group (64 models here) in each process and with the tables, not with the models",
            "that train. From a certain amount of work on there is a process per core.",
        ]
    )


PARTS = {"race": ("Training shadow models", races), "cost": ("The cost of shadow models", costs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="a tenth of the work, to see that it runs")
    parser.add_argument("--only", choices=PARTS, help="one of the two sections")
    asked = parser.parse_args()
    for name, (title, part) in PARTS.items():
        if asked.only in (None, name):
            text = part(10 if asked.fast else 1)
            print(text)
            if not asked.fast:
                write_section(title, text, ("torch", "numpy"))


if __name__ == "__main__":
    main()
