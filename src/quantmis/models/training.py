"""Train a few models of an audit: those whose rows stand in one group.

Model i of an audit draws its initial weights from the stream at ("shadow", i, "weights") and the order of its
mini-batches from ("shadow", i, "order"), and what its forward draws, such as dropout, from ("shadow", i, "dropout"), so
that none depends on which models are trained beside it, nor on the engine kind.
"""

import copy
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from quantmis import seeds
from quantmis.data.samples import Samples
from quantmis.errors import UserError, require
from quantmis.models import ensemble, loop, private, streams
from quantmis.models.calling import users_errors
from quantmis.models.recipe import Recipe
from quantmis.models.streams import Streams
from quantmis.models.task import Task, inputs

Tick = Callable[[int], None]
Keep = Callable[[int, list[nn.Module]], None]
Group = ensemble.Stack | loop.Row


@dataclass(frozen=True, eq=False)
class Training:
    """Describe the training of a group: model `indices[k]` of the audit trains on the samples of `member[k]`.

    `kind`: "stacked" and "im2col" train the models together, "loop" one by one. `checkpoints`: the optimiser steps
    after which the models are shown to whoever asked for it. `repeats` [samples]: how often each sample stands in the
    training sets that it is in, once where nothing is said. `size`: how many samples a model is trained on, in
    expectation where that is drawn; by default as many as the first.
    """

    task: Task
    samples: Samples
    member: Bool[np.ndarray, "models samples"]
    indices: Sequence[int]
    seed: int
    kind: str = "stacked"
    checkpoints: Collection[int] = ()
    repeats: Int[np.ndarray, " samples"] | None = None
    size: int | None = None

    @property
    def steps(self) -> int:
        """The optimiser steps of one model."""
        return self.task.steps(self.expected)

    @property
    def expected(self) -> int:
        """How many samples a model is trained on, in expectation."""
        return len(self.rows(0)) if self.size is None else self.size

    def modules(self) -> list[nn.Module]:
        """Return the freshly initialised models."""
        return self.task.trainable_modules(
            [seeds.integer(self.seed, "shadow", index, "weights") for index in self.indices]
        )

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Return inputs and targets on the device that trains."""
        place = self.task.place
        return inputs(self.samples).to(place), self.task.loss.targets(self.samples.y).to(place)

    def batches(self, recipe: Recipe) -> Iterator[Tensor]:
        """Yield the samples of each step, [models, batch], every model in its own order."""
        streams = [
            _batches(self.rows(row), recipe, seeds.generator(self.seed, "shadow", index, "order"))
            for row, index in enumerate(self.indices)
        ]
        for step, _ in zip(zip(*streams, strict=True), range(self.steps), strict=False):
            yield torch.from_numpy(np.stack(step))

    @property
    def address(self) -> str:
        """The seed address of the group: that of its first model, and of its last where it has several."""
        ends = dict.fromkeys((seeds.spell("shadow", self.indices[0]), seeds.spell("shadow", self.indices[-1])))
        return " to ".join(ends)

    def dropout(self, index: int) -> int:
        """Return the seed of what a model's forward draws while it trains."""
        return seeds.integer(self.seed, "shadow", index, "dropout")

    def rows(self, model: int) -> Int[np.ndarray, " members"]:
        """Return the samples that a model of the group is trained on; one that stands there twice comes twice."""
        members = np.flatnonzero(self.member[model])
        return members if self.repeats is None else np.repeat(members, self.repeats[members])


def train(training: Training, tick: Tick = lambda done: None, keep: Keep | None = None) -> list[nn.Module]:
    """Return the trained models, on the CPU, with the adapters that they were trained by beside their weights.

    `tick` hears of each model-step done; `keep(step, models)` is shown the models at each checkpoint. Raises
    `UserError` with the seed address of a model whose weights are not finite.
    """
    recipe = training.task.recipe
    with streams.restoring():
        if isinstance(recipe, Recipe):
            modules = _by_recipe(training, recipe, tick, keep)
        else:
            modules = [_by_function(training, row) for row in range(len(training.indices))]
            tick(len(modules))
    for index, module in zip(training.indices, modules, strict=True):
        _require_finite(module, index)
    return modules


def _by_recipe(training: Training, recipe: Recipe, tick: Tick, keep: Keep | None) -> list[nn.Module]:
    modules = [module.to(training.task.place).train() for module in training.modules()]
    x, y = training.tensors()
    own = _streams(training, modules[0], x, y)
    together = training.kind != "loop"
    group = (
        ensemble.Stack(training.task, modules, training.kind, own)
        if together
        else loop.Row(training.task, modules, own)
    )
    optimizer = recipe.optimizer_over(group.parameters())
    schedule = recipe.schedule_of(optimizer, training.steps)
    descent = _descent(training, recipe, group, x, y) if recipe.dp is None else _private(training, recipe, group, x, y)
    for step, set_gradients in enumerate(descent, start=1):
        with users_errors(f"training failed at seed address {training.address}, step {step}"):
            optimizer.zero_grad()
            set_gradients()
            optimizer.step()
        schedule.step()
        tick(len(modules))
        if keep is not None and step in training.checkpoints:
            copies = [training.task.copied(module) for module in group.modules()]
            keep(step, copies if training.task.shares_base else [module.cpu() for module in copies])
    return [module.cpu() for module in group.modules()]


def _descent(training: Training, recipe: Recipe, group: Group, x: Tensor, y: Tensor) -> Iterator[Callable[[], None]]:
    """Yield, step by step, what gives the models their gradients."""

    def set_gradients(batch: Tensor) -> None:
        group.backward(x, y, batch)
        if recipe.clip_norm is not None:
            group.clip(recipe.clip_norm)

    return (partial(set_gradients, batch) for batch in training.batches(recipe))


def _private(training: Training, recipe: Recipe, group: Group, x: Tensor, y: Tensor) -> Iterator[Callable[[], None]]:
    """Yield, step by step, what gives the models their private gradients, each from streams of its own."""
    seed, indices = training.seed, training.indices
    rows = [training.rows(row) for row in range(len(indices))]
    orders = [seeds.generator(seed, "shadow", index, "order") for index in indices]
    noises = [torch.Generator(x.device).manual_seed(seeds.integer(seed, "shadow", index, "noise")) for index in indices]
    return private.descent(group, recipe, rows, training.expected, orders, noises, (x, y))


def _streams(training: Training, module: nn.Module, x: Tensor, y: Tensor) -> Streams | None:
    """Return the streams that the models' forward draws from; None where it draws nothing, which costs nothing."""
    few = torch.from_numpy(training.rows(0)[:2])
    draws = streams.heard(module, lambda copied: training.task.objective(copied(x[few]), y[few]))
    return Streams([training.dropout(index) for index in training.indices]) if draws.anything else None


def _by_function(training: Training, row: int) -> nn.Module:
    """Train one model by the user's function, and check what comes back."""
    index, function = training.indices[row], training.task.recipe
    address = seeds.spell("shadow", index)
    fresh = training.task.build(seeds.integer(training.seed, "shadow", index, "weights"))
    members = training.samples.take(training.rows(row))
    stream = torch.Generator().manual_seed(seeds.integer(training.seed, "shadow", index, "order"))
    streams.seed_all(training.dropout(index))
    original = copy.deepcopy(fresh)
    module = _called(function, (fresh, members, stream), address)
    _require_same(module, original, address)
    return module.cpu()


def _require_same(module: Any, original: nn.Module, address: str) -> None:
    """Raise `UserError` unless a recipe returned the model that it was given, trained."""
    require(
        isinstance(module, nn.Module) and repr(module) == repr(original) and _shapes(module) == _shapes(original),
        f"the recipe returned another model than it was given, at seed address {address}",
        hint="train(model, samples, generator) must return the model that it trained",
    )
    kinds = {name: value.dtype for name, value in original.state_dict().items()}
    for name, value in module.state_dict().items():
        where = f"the recipe returned {name} at seed address {address}"
        require(value.device.type != "meta", f"{where} without values, on the device meta")
        require(
            value.dtype == kinds[name],
            f"{where} as {value.dtype}, where it was given {kinds[name]}",
            hint="return the model in the precision that it came in: quantizers are for the audit to apply",
        )


def _called(function: Any, arguments: tuple[nn.Module, Samples, torch.Generator], address: str) -> Any:
    """Call the user's function; what goes wrong in it is theirs to mend, and named by its line."""
    with users_errors(f"the recipe failed at seed address {address}", _arrays(arguments[1])):
        return function(*arguments)


def _arrays(samples: Samples) -> str:
    words = "samples.x and samples.y are NumPy arrays"
    return words if samples.layout is None else f"{words}; samples.inputs has the several inputs apart"


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in module.state_dict().items()}


def _batches(members: Int[np.ndarray, " members"], recipe: Recipe, order: np.random.Generator) -> Iterator[np.ndarray]:
    for _ in range(recipe.epochs):
        shuffled = order.permutation(members)
        for start in range(0, len(members), recipe.batch_size):
            yield shuffled[start : start + recipe.batch_size]


def _require_finite(module: nn.Module, index: int) -> None:
    if not all(bool(torch.isfinite(parameter).all()) for parameter in module.parameters()):
        message = f"the model at seed address {seeds.spell('shadow', index)} diverged: its weights are not finite"
        raise UserError(message, hint="lower the learning rate")
