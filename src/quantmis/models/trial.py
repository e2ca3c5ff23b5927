"""Try whether models can be trained together: two steps of two models, together and one by one, must agree.

Whatever goes wrong or differs is the reason, in words: training one by one either works or raises the same error for
the user. The models draw from the same streams by both, so that dropout is compared too.
"""

import pickle
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd  # pyright: ignore[reportPrivateUsage]

from quantmis.models import ensemble, loop
from quantmis.models.recipe import Recipe
from quantmis.models.streams import Streams, heard, restoring
from quantmis.models.task import Task

STEPS, RATE = 2, 0.1
RELATIVE, ABSOLUTE = 1e-3, 1e-4
OF_TORCH = ("_parameters", "_buffers", "_modules")

Group = ensemble.Stack | loop.Row


def why_not(
    task: Task, make: Callable[[], list[nn.Module]], x: Tensor, y: Tensor, batch: Tensor, kind: str = ensemble.STACKED
) -> str | None:
    """Return why the models that `make` makes afresh cannot be trained together, or None where they can.

    `batch` [models, batch] are the samples of each model.
    """
    try:
        with restoring():
            gradients = _gradients(task, x, y, batch)
            return _state_kept(make()[0], lambda module: task.objective(module(x[batch[0]]), y[batch[0]])) or _unlike(
                lambda: _trained(loop.Row(task, _steady(task, make()), _streams(batch)), gradients),
                lambda: _trained(ensemble.Stack(task, _steady(task, make()), kind, _streams(batch)), gradients),
            )
    except Exception as error:
        return f"{type(error).__name__}: {(str(error) or 'no message').splitlines()[0]}"


def _streams(batch: Tensor) -> Streams:
    return Streams(range(len(batch)))


def _gradients(task: Task, x: Tensor, y: Tensor, batch: Tensor) -> Callable[[Group], Tensor]:
    """Return what gives a group its gradients as its recipe does, without noise, and returns the losses."""
    dp = task.recipe.dp if isinstance(task.recipe, Recipe) else None
    if dp is None:
        return lambda group: group.backward(x, y, batch)
    return lambda group: group.clipped(x, y, batch, torch.ones_like(batch, dtype=torch.bool), dp.clip_norm)


def _steady(task: Task, modules: list[nn.Module]) -> list[nn.Module]:
    """Return models without dropout where samples are differentiated one by one, and so draw it in another order."""
    private = isinstance(task.recipe, Recipe) and task.recipe.dp is not None
    for part in (part for module in modules for part in module.modules() if private and isinstance(part, _DropoutNd)):
        part.eval()
    return modules


def _state_kept(module: nn.Module, forward: Callable[[nn.Module], Tensor]) -> str | None:
    """Return what the forward pass does besides computing, if anything: what it changes, where else it draws."""
    if heard(module, forward).elsewhere:
        return "its forward draws from NumPy's or Python's stream, of which there is one for all models"
    before = _attributes(module)
    for _ in range(STEPS):
        forward(module.train())
    after = _attributes(module)
    attributes = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return f"its forward changes self.{attributes[0]}, of which a stack of models has only one" if attributes else None


def _attributes(module: nn.Module) -> dict[str, object]:
    """Return all that the parts of a module hold besides weights, buffers and each other."""
    return {
        f"{path}.{name}".lstrip("."): _content(value)
        for path, part in module.named_modules()
        for name, value in vars(part).items()
        if name not in OF_TORCH
    }


def _content(value: Any) -> object:
    try:
        return pickle.dumps(value)
    except Exception:
        return id(value)


def _unlike(alone: Callable[[], list[Tensor]], together: Callable[[], list[Tensor]]) -> str | None:
    first, again = alone(), alone()
    if first[0].device.type == "cpu" and not torch.equal(first[0], again[0]):
        return (
            "its forward gives other losses for the same weights, samples and seed: it draws from a stream of its own"
        )
    for one, other in zip(together(), first, strict=True):
        torch.testing.assert_close(one, other, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)
    return None


def _trained(group: Group, gradients: Callable[[Group], Tensor]) -> list[Tensor]:
    """Return the losses of a few steps of plain descent, then the weights and buffers of each model."""
    losses: list[Tensor] = []
    for _ in range(STEPS):
        losses.append(gradients(group))
        with torch.no_grad():
            for each in group.parameters():
                if each.grad is not None:
                    each.sub_(RATE * each.grad)
                each.grad = None
    return [torch.stack(losses), *(value for module in group.modules() for value in module.state_dict().values())]
