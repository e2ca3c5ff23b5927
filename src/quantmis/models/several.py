"""Models that take several inputs: before their forward, one row of numbers becomes the arrays that it is made of.

What is registered is a hook, which `torch.func` runs too, so that such models are stacked like any other. Weights,
layers and their names stay as they are. A model that is called with its arrays as they are, as a training function of
the user's may do, takes them.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from quantmis.data.several import Layout


@dataclass(frozen=True)
class Unpacked:
    """Divide the one tensor [samples, width] that a model is called with, as `layout` says."""

    layout: Layout

    def __call__(self, module: nn.Module, arguments: Any, words: Any) -> Any:
        """Return the arguments of the forward; None, which leaves them, where they are apart already."""
        is_row = len(arguments) == 1 and not words and isinstance(arguments[0], Tensor)
        if not is_row or arguments[0].shape[1:] != (self.layout.width,):
            return None
        pieces = self.tensors(arguments[0])
        return ((), pieces) if self.layout.is_named else (tuple(pieces.values()), {})

    def tensors(self, rows: Tensor) -> dict[str, Tensor]:
        """Return the tensors [samples, ...] of `rows` [samples, width], by name."""
        pieces = rows.split([part.width for part in self.layout.parts], dim=1)
        return {
            part.name: piece.reshape(len(rows), *part.shape).to(getattr(torch, part.dtype))
            for part, piece in zip(self.layout.parts, pieces, strict=True)
        }


def taking(module: nn.Module, layout: Layout | None) -> nn.Module:
    """Return the module, which from now on takes rows of numbers too; without a layout it stays as it is."""
    if layout is not None:
        module.register_forward_pre_hook(Unpacked(layout), with_kwargs=True)
    return module
