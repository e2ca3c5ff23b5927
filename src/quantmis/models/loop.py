"""Train models one after the other, in plain PyTorch: what is left where they cannot be stacked, or need not be."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from quantmis.models.streams import Streams
from quantmis.models.task import Task


class Row:
    """Hold models side by side that share nothing but a clock; `streams` where they draw random numbers."""

    def __init__(self, task: Task, modules: list[nn.Module], streams: Streams | None = None):
        self._task, self._modules, self._streams = task, modules, streams

    def parameters(self) -> Iterator[Tensor]:
        """Yield what the optimiser changes."""
        return (each for module in self._modules for each in module.parameters() if each.requires_grad)

    def backward(self, x: Tensor, y: Tensor, batch: Tensor) -> Tensor:
        """Compute the gradients of each model on its own samples, `batch` [models, batch]; return the losses."""
        losses: list[Tensor] = []
        for model, (module, index) in enumerate(zip(self._modules, batch, strict=True)):
            with self._draws_of(model, x.device):
                loss = self._task.objective(module(x[index]), y[index])
                loss.backward()
                losses.append(loss.detach())
        return torch.stack(losses)

    def clip(self, norm: float) -> None:
        """Bound the norm of each model's gradient."""
        for module in self._modules:
            clip_grad_norm_(module.parameters(), norm)

    def modules(self) -> list[nn.Module]:
        """Return the models as they now are."""
        return self._modules

    def _draws_of(self, model: int, device: torch.device) -> AbstractContextManager[None]:
        return nullcontext() if self._streams is None else self._streams.draws_of(model, device)
