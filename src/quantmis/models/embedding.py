"""Embeddings in a stack of models: the entry that pads sequences is not trained, as in plain PyTorch.

`torch.func.vmap` forgets `padding_idx`; this puts it back.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class Padded(TorchFunctionMode):
    """Keep gradients from the padding entry of every embedding while this mode is on."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Replace `embedding`; leave every other function alone."""
        return (embedding if func is functional.embedding else func)(*args, **(kwargs or {}))


def embedding(index: Tensor, weight: Tensor, padding_idx: int | None = None, **options: Any) -> Tensor:
    """Return the rows of `weight` [entries, width] at `index`; no gradient reaches the row `padding_idx`."""
    rows = functional.embedding(index, weight, **options)
    if padding_idx is None:
        return rows
    return torch.where((index == padding_idx % len(weight)).unsqueeze(-1), rows.detach(), rows)
