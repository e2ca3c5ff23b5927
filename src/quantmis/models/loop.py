"""Train models one after the other, in plain PyTorch: what an architecture gets that cannot be stacked."""

from collections.abc import Callable, Iterable

from torch import Tensor, nn

from quantmis.models.task import Task


def train(
    task: Task,
    modules: list[nn.Module],
    batches: Iterable[Tensor],
    x: Tensor,
    y: Tensor,
    tick: Callable[[int], None],
) -> None:
    """Train `modules`, in place; each of `batches` holds the samples of one step, [models, batch]."""
    optimizers = [task.recipe.optimizer_over(_learned(module.train())) for module in modules]
    for batch in batches:
        for module, optimizer, index in zip(modules, optimizers, batch, strict=True):
            optimizer.zero_grad()
            task.loss.losses(module(x[index]), y[index]).mean().backward()
            optimizer.step()
        tick(len(modules))


def _learned(module: nn.Module) -> list[Tensor]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]
