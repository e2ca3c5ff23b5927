"""Train M models of one architecture as one: their weights stacked along a new first axis.

`torch.func` turns the forward pass of one model into that of all, so that M small matrix products become one batched
product, and torch's own optimisers work entry by entry, so that no model feels another. On small models this removes
nearly all of the overhead that a loop pays M times.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from quantmis.models.task import Task


def train(
    task: Task,
    modules: list[nn.Module],
    batches: Iterable[Tensor],
    x: Tensor,
    y: Tensor,
    tick: Callable[[int], None],
) -> None:
    """Train `modules` together, in place; each of `batches` holds the samples of one step, [models, batch]."""
    parameters, buffers = stack_module_state(modules)
    learned = [value for value in parameters.values() if value.requires_grad]
    optimizer = task.recipe.optimizer_over(learned)
    losses = _batched_losses(task, modules[0].train())
    for batch in batches:
        optimizer.zero_grad()
        losses(parameters, buffers, x[batch], y[batch]).sum().backward()
        optimizer.step()
        tick(len(modules))
    _unstack(modules, {**parameters, **buffers})


def why_not(task: Task, modules: list[nn.Module], batch: Tensor, x: Tensor, y: Tensor) -> str | None:
    """Return why `modules` cannot be trained together, or None where they can.

    The trial compares the losses computed together with those computed one by one, then takes a step. Whatever goes
    wrong in it is the reason, in words: training one by one either works or raises the same error for the user.
    """
    try:
        _require_same_losses(task, modules, x[batch], y[batch])
        train(task, modules, [batch], x, y, tick=lambda done: None)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return None


def _require_same_losses(task: Task, modules: list[nn.Module], x: Tensor, y: Tensor) -> None:
    parameters, buffers = stack_module_state(modules)
    together = _batched_losses(task, modules[0].eval())(parameters, buffers, x, y)
    alone = [task.loss.losses(module.eval()(x[index]), y[index]).mean() for index, module in enumerate(modules)]
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-3, atol=1e-4)


def _batched_losses(task: Task, skeleton: nn.Module) -> Callable[..., Tensor]:
    def loss(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        with sdpa_kernel(SDPBackend.MATH):  # the fused kernels of attention have no batching rule
            outputs = functional_call(skeleton, (parameters, buffers), (x,))
        return task.loss.losses(outputs, y).mean()

    return vmap(loss, randomness="different")


def _unstack(modules: list[nn.Module], stacked: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for index, module in enumerate(modules):
            own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
            for name, values in stacked.items():
                own[name].copy_(values[index])
