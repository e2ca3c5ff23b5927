"""Train models one after the other, in plain PyTorch: what is left where they cannot be stacked, or need not be."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from quantmis.models.task import Task


class Row:
    """Hold models side by side that share nothing but a clock."""

    def __init__(self, task: Task, modules: list[nn.Module]):
        self._task, self._modules = task, modules

    def parameters(self) -> Iterator[Tensor]:
        """Yield what the optimiser changes."""
        return (each for module in self._modules for each in module.parameters() if each.requires_grad)

    def backward(self, x: Tensor, y: Tensor, batch: Tensor) -> None:
        """Compute the gradients of each model on its own samples, `batch` [models, batch]."""
        for module, index in zip(self._modules, batch, strict=True):
            self._task.objective(module(x[index]), y[index]).backward()

    def clip(self, norm: float) -> None:
        """Bound the norm of each model's gradient."""
        for module in self._modules:
            clip_grad_norm_(module.parameters(), norm)

    def modules(self) -> list[nn.Module]:
        """Return the models as they now are."""
        return self._modules


def losses(task: Task, modules: list[nn.Module], x: Tensor, y: Tensor, batch: Tensor) -> Tensor:
    """Return the objective of each model on its own samples, [models]."""
    pairs = zip(modules, batch, strict=True)
    return torch.stack([task.objective(module(x[index]), y[index]) for module, index in pairs])
