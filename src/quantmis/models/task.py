"""What is audited: a model, the loss it was trained with, and the recipe that trains it."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from quantmis.data.samples import Samples
from quantmis.errors import UserError, require
from quantmis.models.losses import CrossEntropy, Loss, as_loss
from quantmis.models.recipe import Recipe

Train = Callable[[nn.Module, Samples, torch.Generator], nn.Module]


@dataclass(frozen=True)
class Task:
    """Say what is audited: `model` makes a fresh, randomly initialised module; it is called once per shadow model.

    `model` is a `torch.nn.Module` class or any function without arguments that returns a module. `loss` is a loss or
    its name: "cross_entropy", "mse", "multi_label". `recipe` is a `Recipe`, or your own function
    `train(model, samples, generator) -> model`, which gets a fresh model, the samples that it is to be trained on, and
    a seeded generator. `taught` says whether a recipe was given at all.

    >>> Task(model=lambda: nn.Linear(64, 10), recipe=Recipe(epochs=5)).loss.name
    'cross_entropy'
    """

    model: Callable[[], nn.Module]
    loss: Loss = field(default_factory=CrossEntropy)
    recipe: Recipe | Train = field(default_factory=Recipe)
    name: str = ""
    taught: bool = True

    def __init__(
        self,
        model: Callable[[], nn.Module],
        loss: str | Loss = "cross_entropy",
        recipe: Recipe | Train | None = None,
        name: str | None = None,
    ):
        if isinstance(model, nn.Module) or not callable(model):  # pyright: ignore[reportUnnecessaryComparison]
            hint = "pass lambda: MyModel(...), so that every shadow model starts from fresh weights"
            raise UserError(f"model: expected a class or function that makes a model, got {_a(model)}", hint=hint)
        object.__setattr__(self, "model", model)
        object.__setattr__(self, "loss", as_loss(loss))
        object.__setattr__(self, "recipe", recipe or Recipe())
        object.__setattr__(self, "taught", recipe is not None)
        object.__setattr__(self, "name", name or getattr(model, "__name__", type(model).__name__))
        smoothing = isinstance(self.recipe, Recipe) and self.recipe.label_smoothing > 0
        require(
            not smoothing or isinstance(self.loss, CrossEntropy),
            f"label_smoothing is defined for cross_entropy, not for {self.loss.name}",
        )

    def build(self, seed: int) -> nn.Module:
        """Return a fresh module whose initial weights depend on `seed` alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = self.model()
        if not isinstance(module, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UserError(f"model: expected it to return a torch.nn.Module, got {_a(module)}")
        return module

    def objective(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return what training minimises: the mean loss, smoothed where the recipe says so."""
        if isinstance(self.recipe, Recipe) and self.recipe.label_smoothing > 0:
            return functional.cross_entropy(outputs, y, label_smoothing=self.recipe.label_smoothing)
        return self.loss.losses(outputs, y).mean()

    def steps(self, samples: int) -> int:
        """Return the optimiser steps of one training; a function of the user's counts as one."""
        return self.recipe.steps(samples) if isinstance(self.recipe, Recipe) else 1

    def describe_recipe(self) -> dict[str, str | float | int | bool]:
        """Return the recipe as results.json holds it."""
        if isinstance(self.recipe, Recipe):
            return self.recipe.as_dict()
        return {"function": f"{self.recipe.__module__}:{self.recipe.__qualname__}"}


def inputs(samples: Samples) -> Tensor:
    """Return the inputs as a tensor; those that another process holds for reading only are copied."""
    return torch.from_numpy(np.require(samples.x, requirements="W"))


def _a(thing: object) -> str:
    return "a model" if isinstance(thing, nn.Module) else type(thing).__name__
