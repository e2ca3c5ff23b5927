"""Train M models of one architecture as one: their weights stacked along a new first axis.

`torch.func` turns the forward pass of one model into that of all, so that M small matrix products become one batched
product, and torch's own optimisers work entry by entry, so that no model feels another. On small models this removes
nearly all of the overhead that a loop pays M times.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from quantmis.models.convolution import Im2col
from quantmis.models.embedding import Padded
from quantmis.models.linear import Transposed
from quantmis.models.per_sample import Differentiated, Factored, per_sample
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
        self._gradients: Differentiated | Factored | None = None

    def parameters(self) -> Iterator[Tensor]:
        """Yield what the optimiser changes, each with the models along its first axis."""
        return (each for each in self._parameters.values() if each.requires_grad)

    def losses(self, x: Tensor, y: Tensor, batch: Tensor) -> Tensor:
        """Return the objective of each model on its own samples, [models]; `batch` is [models, batch]."""
        with self._together():
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

    def clipped(self, x: Tensor, y: Tensor, batch: Tensor, is_drawn: Tensor, norm: float) -> Tensor:
        """Set gradients to the sums of those of the drawn samples, each clipped to `norm`; return summed losses.

        `batch` and `is_drawn` [models, batch].
        """
        learning = {name: each for name, each in self._parameters.items() if each.requires_grad}
        fixed = {name: each for name, each in self._parameters.items() if not each.requires_grad}
        gradients = self._of_samples(x)
        with self._together():
            sums, losses = gradients.clipped(learning, {**fixed, **self._buffers}, x[batch], y[batch], is_drawn, norm)
        for name, each in learning.items():
            each.grad = sums[name].detach()
        return losses.detach()

    def perturb(self, noise: Tensor, divisor: float) -> None:
        """Add `noise` [models, size] to the gradients of each model and divide them."""
        parameters = list(self.parameters())
        parts = noise.split([each[0].numel() for each in parameters], dim=1)
        for each, part in zip(parameters, parts, strict=True):
            assert each.grad is not None  # noqa: S101 for the type checker
            each.grad.add_(part.reshape(each.shape)).div_(divisor)

    @cached_property
    def size(self) -> int:
        """How many numbers one model learns."""
        return sum(each[0].numel() for each in self.parameters())

    def _of_samples(self, x: Tensor) -> Differentiated | Factored:
        if self._gradients is None:
            self._gradients = per_sample(self._originals[0], self._task.objective, x[:2])
        return self._gradients

    @contextmanager
    def _together(self) -> Generator[None]:
        """Let a forward pass compute all models; the fused kernels of attention have no batching rule."""
        convolutions = Im2col() if self._kind == IM2COL else nullcontext()
        apart = nullcontext() if self._streams is None else Apart(self._streams)
        with sdpa_kernel(SDPBackend.MATH), convolutions, Padded(), Transposed(), apart:
            yield

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
