"""Train models one after the other, in plain PyTorch: what is left where they cannot be stacked, or need not be."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from quantmis.models.per_sample import clip_factors
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

    def clipped(self, x: Tensor, y: Tensor, batch: Tensor, is_drawn: Tensor, norm: float) -> Tensor:
        """Do what `quantmis.models.ensemble.Stack.clipped` does, one sample after the other, in plain PyTorch."""
        losses = [
            self._sum_clipped(model, module, x[index[drawn]], y[index[drawn]], norm)
            for model, (module, index, drawn) in enumerate(zip(self._modules, batch, is_drawn.cpu(), strict=True))
        ]
        return torch.stack(losses)

    def _sum_clipped(self, model: int, module: nn.Module, x: Tensor, y: Tensor, norm: float) -> Tensor:
        parameters, total = _learning(module), torch.zeros((), device=x.device)
        for each in parameters:
            each.grad = torch.zeros_like(each)
        for place in range(len(x)):
            own = slice(place, place + 1)
            with self._draws_of(model, x.device):
                loss = self._task.objective(module(x[own]), y[own])
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
            length = torch.stack([each.norm() for each in gradients]).norm()
            factor = clip_factors(length, torch.ones((), dtype=torch.bool, device=x.device), norm)
            for parameter, each in zip(parameters, gradients, strict=True):
                assert parameter.grad is not None  # noqa: S101 for the type checker
                parameter.grad.add_(factor * each)
            total = total + loss.detach()
        return total

    def perturb(self, noise: Tensor, divisor: float) -> None:
        """Add `noise` [models, size] to the gradients of each model and divide them."""
        for module, own in zip(self._modules, noise, strict=True):
            parameters = _learning(module)
            for each, part in zip(parameters, own.split([each.numel() for each in parameters]), strict=True):
                assert each.grad is not None  # noqa: S101 for the type checker
                each.grad.add_(part.reshape(each.shape)).div_(divisor)

    @property
    def size(self) -> int:
        """How many numbers one model learns."""
        return sum(each.numel() for each in _learning(self._modules[0]))

    def modules(self) -> list[nn.Module]:
        """Return the models as they now are."""
        return self._modules

    def _draws_of(self, model: int, device: torch.device) -> AbstractContextManager[None]:
        return nullcontext() if self._streams is None else self._streams.draws_of(model, device)


def _learning(module: nn.Module) -> list[nn.Parameter]:
    return [each for each in module.parameters() if each.requires_grad]
