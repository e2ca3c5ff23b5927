"""Train a fresh model for two steps, as an audit will train many: what its forward, loss or optimizer raises, now."""

import numpy as np
import torch
from torch import Tensor, nn

from quantmis import seeds
from quantmis.data.samples import Samples
from quantmis.errors import require
from quantmis.models import streams
from quantmis.models.calling import users_errors
from quantmis.models.private import require_separable
from quantmis.models.probes import FEW, require_alone
from quantmis.models.recipe import Recipe
from quantmis.models.rows import computed, row_of
from quantmis.models.task import Task, inputs

ADDRESS = ("rehearsal", "weights")
NO_LOSS = "scale the inputs and the targets, or lower the learning rate"


def rehearse(task: Task, samples: Samples, members: int, seed: int = 0) -> None:
    """Raise `UserError` unless a fresh model can be trained on `members` samples, and computes all of `samples`.

    By a `Recipe` it takes a step on a whole batch and one on as many samples as the last of an epoch has; a function
    of the user's own trains in one piece, and is not tried. Nothing that the user gave changes.
    """
    x, y = inputs(samples), task.loss.targets(samples.y)
    with streams.restoring():
        _train(task, x, y, members, seed)
        fresh = task.build(seeds.integer(seed, *ADDRESS))
        outputs = computed(fresh, x, "a fresh model", task.samples_at_once)
        row_of(outputs, task.loss, y, name="a fresh model")
        require_alone("the model", fresh, task, x, outputs)


def _train(task: Task, x: Tensor, y: Tensor, members: int, seed: int) -> None:
    """Take the steps of a model that is gone before the next one is made."""
    module = task.trainable_module(seeds.integer(seed, *ADDRESS))
    if isinstance(task.recipe, Recipe):
        if task.recipe.dp is not None:
            require_separable(module, x[:FEW])
        trainer = _Trainer(task, task.recipe, module.to(task.place).train())
        for size in batch_sizes(task.recipe, members):
            rows = torch.from_numpy(np.arange(size) % len(x))
            trainer.step(x[rows].to(task.place), y[rows].to(task.place))


def batch_sizes(recipe: Recipe, members: int) -> list[int]:
    """Return how many samples the batches of one model have: those of a whole one, and of the last of an epoch.

    >>> batch_sizes(Recipe(batch_size=32), 65), batch_sizes(Recipe(batch_size=32), 64)
    ([32, 1], [32])
    >>> batch_sizes(Recipe(batch_size=32, max_steps=2), 65)
    [32]
    """
    whole, last = min(recipe.batch_size, members), members % recipe.batch_size
    reached = recipe.steps(members) >= recipe.steps_per_epoch(members)
    return [whole, last] if last and last != whole and reached else [whole]


class _Trainer:
    """Hold a module and its optimizer."""

    def __init__(self, task: Task, recipe: Recipe, module: nn.Module):
        learning = [each for each in module.parameters() if each.requires_grad]
        require(
            learning,
            "the model has no weight that training may change: all of its parameters are frozen",
            hint="leave requires_grad_(False) away where something is to be learnt, or audit the model as it is: "
            "depth='as-is' with a target",
        )
        with users_errors("the optimizer does not take the weights of the model"):
            self._optimizer = recipe.optimizer_over(learning)
        self._task, self._recipe, self._module = task, recipe, module

    def step(self, x: Tensor, y: Tensor) -> None:
        """Take a step on samples x [batch, ...] with targets y [batch, ...]."""
        with users_errors(f"training fails on a batch of {len(x)} samples", _remedy(len(x))):
            loss = self._task.objective(self._module(x), y)
            finite = bool(torch.isfinite(loss))
            require(finite, f"training fails on a batch of {len(x)} samples: the loss is NaN or infinite", hint=NO_LOSS)
            loss.backward()
            if self._recipe.clip_norm is not None:
                nn.utils.clip_grad_norm_(self._module.parameters(), self._recipe.clip_norm)
            self._optimizer.step()
            self._optimizer.zero_grad()


def _remedy(samples: int) -> str:
    one = "the last batch of an epoch has a single sample, which BatchNorm cannot normalise: choose another batch_size"
    return one if samples == 1 else ""
