"""Linear layers of a stack, so computed that the gradient of their weights lies in memory as the weights do.

Otherwise each gradient is copied once per step, which takes as long as a product on a small model.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class Transposed(TorchFunctionMode):
    """Compute linear layers by `linear` while this mode is on."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Replace `linear`; leave every other function alone."""
        return (linear if func is functional.linear else func)(*args, **(kwargs or {}))


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `input` [..., features] times the transpose of `weight` [outputs, features], plus `bias`."""
    if input.ndim < 2:
        return functional.linear(input, weight, bias)
    flat = torch.matmul(weight, input.flatten(0, -2).mT).mT
    out = flat if bias is None else flat + bias
    return out.unflatten(0, input.shape[:-1])
