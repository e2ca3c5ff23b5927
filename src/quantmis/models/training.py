"""Train shadow models: in groups that fit the memory, together where the architecture allows, one by one elsewhere.

Model i of an audit draws its initial weights from the stream at ("shadow", i, "weights") and the order of its
mini-batches from ("shadow", i, "order"), so that no model depends on which others were trained beside it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from quantmis import seeds
from quantmis.data.samples import Samples
from quantmis.errors import require
from quantmis.models import ensemble, loop
from quantmis.models.task import Recipe, Task

MEMORY = 2**30
"""Bytes that one group of models may use while it trains."""

Tick = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class Job:
    """Describe the training of one group: `member[k]` says what model `indices[k]` of the audit trains on."""

    task: Task
    x: Tensor
    y: Tensor
    member: Bool[np.ndarray, "models samples"]
    indices: Sequence[int]
    seed: int

    def modules(self) -> list[nn.Module]:
        """Return the freshly initialised models."""
        return [self.task.build(seeds.integer(self.seed, "shadow", index, "weights")) for index in self.indices]

    def batches(self) -> Iterator[Tensor]:
        """Yield the samples of each step, [models, batch], every model in its own order."""
        streams = [
            _batches(np.flatnonzero(row), self.task.recipe, seeds.generator(self.seed, "shadow", index, "order"))
            for row, index in zip(self.member, self.indices, strict=True)
        ]
        for step in zip(*streams, strict=True):
            yield torch.from_numpy(np.stack(step))


@dataclass(frozen=True)
class Engine:
    """Name the way in which models are trained, and say why where it is not the fast one."""

    name: str
    reason: str | None = None


def choose_engine(task: Task, samples: Samples) -> Engine:
    """Try one step of stacked training; name the loop, with the reason, where the model cannot be stacked."""
    job = _probe(task, samples)
    reason = ensemble.why_not(task, job.modules(), next(job.batches()), job.x, job.y)
    return Engine("stacked") if reason is None else Engine("loop", reason)


def train(
    task: Task,
    samples: Samples,
    member: Bool[np.ndarray, "models samples"],
    seed: int,
    engine: Engine,
    tick: Tick = lambda done: None,
) -> Iterator[tuple[range, list[nn.Module]]]:
    """Yield groups of trained models with their rows in `member`; `tick` hears of each model-step done.

    Raises `UserError` with the seed address of a model whose loss or weights are not finite.
    """
    x, y = torch.from_numpy(samples.x), task.loss.targets(samples.y)
    run = ensemble.train if engine.name == "stacked" else loop.train
    for rows in groups(len(member), _group_size(task, samples)):
        job = Job(task, x, y, member[rows.start : rows.stop], rows, seed)
        modules = job.modules()
        with torch.random.fork_rng(devices=[]):  # dropout draws from torch's global stream
            torch.manual_seed(seeds.integer(seed, "shadow", rows.start, "dropout"))
            run(job.task, modules, job.batches(), x, y, tick)
        for index, module in zip(rows, modules, strict=True):
            _require_finite(module, index)
        yield rows, modules


def groups(models: int, size: int) -> list[range]:
    """Divide the rows of an audit into ranges of at most `size`.

    >>> groups(5, 2)
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    return [range(start, min(start + size, models)) for start in range(0, models, size)]


def _batches(members: Int[np.ndarray, " members"], recipe: Recipe, order: np.random.Generator) -> Iterator[np.ndarray]:
    for _ in range(recipe.epochs):
        shuffled = order.permutation(members)
        for start in range(0, len(members), recipe.batch_size):
            yield shuffled[start : start + recipe.batch_size]


def _probe(task: Task, samples: Samples) -> Job:
    few = samples.take(np.arange(min(len(samples), 2 * max(task.recipe.batch_size, 20))))
    member = np.arange(len(few)) % 2 == np.arange(2)[:, None]
    return Job(task, torch.from_numpy(few.x), task.loss.targets(few.y), member, range(2), seed=0)


def _group_size(task: Task, samples: Samples) -> int:
    module = task.build(0)
    weights = sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())
    batch = torch.from_numpy(samples.x[: task.recipe.batch_size])
    # weights, gradients and two moments of Adam; activations are kept for the backward pass and doubled by it
    need = 4 * weights + 3 * (_activations(module, batch) + batch.nbytes)
    return max(2, MEMORY // max(need, 1) // 2 * 2)


def _activations(module: nn.Module, batch: Tensor) -> int:
    sizes: list[int] = []

    def count(_module: nn.Module, _inputs: object, output: object) -> None:
        sizes.append(output.nbytes if isinstance(output, Tensor) else 0)

    hooks = [part.register_forward_hook(count) for part in module.modules()]
    with torch.no_grad():
        module(batch)
    for hook in hooks:
        hook.remove()
    return sum(sizes)


def _require_finite(module: nn.Module, index: int) -> None:
    finite = all(bool(torch.isfinite(parameter).all()) for parameter in module.parameters())
    require(
        finite,
        f"the model at seed address {seeds.spell('shadow', index)} diverged: its weights are not finite",
        hint="lower the learning rate",
    )
