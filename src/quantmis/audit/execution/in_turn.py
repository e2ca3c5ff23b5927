"""Versions of trained language models, one model and one version at a time: nothing of a model is held twice.

Models that learnt adapters stand on one base. In turn each adapter is merged into it, the versions are made in it and
undone, and the base gets its numbers back.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from torch import nn

from quantmis.audit.execution.work import Work
from quantmis.models import lora
from quantmis.quantizers.in_place import Originals

Made = TypeVar("Made")


def shipped_in_turn(
    work: Work, models: Mapping[int, nn.Module], use: Callable[[int, nn.Module, Originals], Iterator[Made]]
) -> Iterator[Made]:
    """Yield all that `use` yields of each model as it is shipped, by its number, and the numbers that it has."""
    for index, module in models.items():
        with _shipped(work, module) as shipped:
            yield from use(index, shipped, Originals(shipped))


@contextmanager
def _shipped(work: Work, module: nn.Module) -> Generator[nn.Module]:
    """Give a model with its adapters merged into the base that it stands on, which is as it was when this is over."""
    module.to(work.task.place)
    if not work.task.has_adapters:
        yield module
        module.cpu()
        return
    learns = {each: each.requires_grad for each in module.parameters()}
    base = Originals(module)
    try:
        yield lora.merged(lora.sharing(module, module.parameters()))
    finally:
        base.put_back()
        for each, flag in learns.items():
            each.requires_grad_(flag)
