"""Train M models of one architecture as one: their weights stacked along a new first axis.

`torch.func` turns the forward pass of one model into that of all, so that M small matrix products become one batched
product, and torch's own optimisers work entry by entry, so that no model feels another. On small models this removes
nearly all of the overhead that a loop pays M times.
"""

from collections.abc import Iterator
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from quantmis.models.convolution import Im2col
from quantmis.models.embedding import Padded
from quantmis.models.linear import Transposed
from quantmis.models.streams import Apart, Streams
from quantmis.models.task import Task

STACKED, IM2COL = "stacked", "im2col"


class Stack:
    """Hold models as one stack of weights; `kind` says whether convolutions are computed as matrix products.

    `streams` where the models draw random numbers while they train.
    """

    def __init__(self, task: Task, modules: list[nn.Module], kind: str = STACKED, streams: Streams | None = None):
        self._originals, self._kind, self._streams = modules, kind, streams
        self._parameters, self._buffers = stack_module_state(modules)
        self._task = task

    def parameters(self) -> Iterator[Tensor]:
        """Yield what the optimiser changes, each with the models along its first axis."""
        return (each for each in self._parameters.values() if each.requires_grad)

    def losses(self, x: Tensor, y: Tensor, batch: Tensor) -> Tensor:
        """Return the objective of each model on its own samples, [models]; `batch` is [models, batch]."""
        # the fused kernels of attention have no batching rule
        convolutions = Im2col() if self._kind == IM2COL else nullcontext()
        apart = nullcontext() if self._streams is None else Apart(self._streams)
        with sdpa_kernel(SDPBackend.MATH), convolutions, Padded(), Transposed(), apart:
            return vmap(self._objective, randomness="different")(self._parameters, self._buffers, x[batch], y[batch])

    def backward(self, x: Tensor, y: Tensor, batch: Tensor) -> Tensor:
        """Compute the gradients of every model, which that of a sum keeps apart; return the losses."""
        losses = self.losses(x, y, batch)
        losses.sum().backward()
        return losses.detach()

    def clip(self, norm: float) -> None:
        """Bound the norm of each model's gradient."""
        gradients = [each.grad for each in self.parameters() if each.grad is not None]
        norms = torch.stack([each.flatten(1).norm(dim=1) for each in gradients]).norm(dim=0)
        factor = (norm / (norms + 1e-6)).clamp(max=1.0)  # as torch.nn.utils.clip_grad_norm_ does
        for each in gradients:
            each.mul_(factor.reshape(-1, *[1] * (each.ndim - 1)))

    @torch.no_grad()
    def modules(self) -> list[nn.Module]:
        """Return the models as they now are, apart again."""
        for index, module in enumerate(self._originals):
            own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
            for name, values in {**self._parameters, **self._buffers}.items():
                own[name].copy_(values[index])
        return self._originals

    def _objective(self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return self._task.objective(functional_call(self._originals[0], (parameters, buffers), (x,)), y)
