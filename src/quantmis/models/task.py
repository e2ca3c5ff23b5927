"""What is audited: a model, the loss it was trained with, and the recipe that trains it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Literal

import torch
from torch import nn

from quantmis.errors import UserError, require
from quantmis.models.losses import CrossEntropy, Loss, as_loss

Optimizer = Literal["adam", "adamw", "sgd"]


@dataclass(frozen=True)
class Recipe:
    """Say how one model is trained: the hyper-parameters of mini-batch descent.

    Raises `UserError` for a number out of range.

    >>> Recipe(epochs=10, optimizer="sgd", learning_rate=0.1).steps(samples=100)
    40
    """

    epochs: int = 30
    batch_size: int = 32
    learning_rate: float = 1e-3
    optimizer: Optimizer = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0

    def __post_init__(self):
        require(self.epochs >= 1, f"epochs: expected at least 1, got {self.epochs}")
        require(self.batch_size >= 1, f"batch_size: expected at least 1, got {self.batch_size}")
        require(self.learning_rate > 0, f"learning_rate: expected a positive number, got {self.learning_rate}")
        require(self.weight_decay >= 0, f"weight_decay: expected zero or more, got {self.weight_decay}")
        require(0 <= self.momentum < 1, f"momentum: expected 0 to below 1, got {self.momentum}")
        require(
            self.optimizer in ("adam", "adamw", "sgd"),
            f"unknown optimizer {self.optimizer!r}",
            hint="known: adam, adamw, sgd",
        )

    def steps(self, samples: int) -> int:
        """Return the number of optimiser steps on that many samples."""
        return self.epochs * -(-samples // self.batch_size)

    def optimizer_over(self, parameters: list[torch.Tensor]) -> torch.optim.Optimizer:
        """Return torch's own optimiser; it works entry by entry, so that stacked models do not mix."""
        rate, decay = self.learning_rate, self.weight_decay
        if self.optimizer == "sgd":
            return torch.optim.SGD(parameters, rate, momentum=self.momentum, weight_decay=decay)
        kind = torch.optim.AdamW if self.optimizer == "adamw" else torch.optim.Adam
        return kind(parameters, rate, weight_decay=decay)

    def as_dict(self) -> dict[str, str | float | int | bool]:
        """Return the hyper-parameters by name."""
        return asdict(self)


@dataclass(frozen=True)
class Task:
    """Say what is audited: `model` makes a fresh, randomly initialised module; it is called once per shadow model.

    `model` is a `torch.nn.Module` class or any function without arguments that returns a module. `loss` is a loss or
    its name: "cross_entropy", "mse", "multi_label".

    >>> Task(model=lambda: nn.Linear(64, 10), recipe=Recipe(epochs=5)).loss.name
    'cross_entropy'
    """

    model: Callable[[], nn.Module]
    loss: Loss = field(default_factory=CrossEntropy)
    recipe: Recipe = field(default_factory=Recipe)
    name: str = ""

    def __init__(
        self,
        model: Callable[[], nn.Module],
        loss: str | Loss = "cross_entropy",
        recipe: Recipe | None = None,
        name: str | None = None,
    ):
        require(callable(model), f"model: expected a module class or a function, got {type(model).__name__}")
        if isinstance(model, nn.Module):
            hint = "pass lambda: MyModel(...), so that every shadow model starts from fresh weights"
            raise UserError("model: expected a class or function that makes a model, got a model", hint=hint)
        object.__setattr__(self, "model", model)
        object.__setattr__(self, "loss", as_loss(loss))
        object.__setattr__(self, "recipe", recipe or Recipe())
        object.__setattr__(self, "name", name or getattr(model, "__name__", type(model).__name__))

    def build(self, seed: int) -> nn.Module:
        """Return a fresh module whose initial weights depend on `seed` alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = self.model()
        if not isinstance(module, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UserError(f"model: expected it to return a torch.nn.Module, got {type(module).__name__}")
        return module
