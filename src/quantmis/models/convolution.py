"""Convolutions as matrix products: unfold the patches, then one batched product for all models.

The gradient of a batched convolution is slow on a CPU, where the models of a stack become groups of one convolution. A
batched matrix product is not, at the price of the memory that the unfolded patches take.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class Im2col(TorchFunctionMode):
    """Compute plain two-dimensional convolutions as unfold and product while this mode is on."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Replace `conv2d` where `im2col_conv2d` can do it; leave every other function alone."""
        if func is torch.conv2d and not kwargs and _is_plain(*args):
            return im2col_conv2d(*args[:6])
        return func(*args, **(kwargs or {}))


def im2col_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Tensor:
    """Return the convolution of `x` [samples, channels, height, width] with `weight` [outputs, channels, h, w]."""
    size = weight.shape[-2:]
    patches = functional.unfold(x, tuple(size), tuple(dilation), tuple(padding), tuple(stride))
    out = weight.flatten(1) @ patches
    height = (x.shape[-2] + 2 * padding[0] - dilation[0] * (size[0] - 1) - 1) // stride[0] + 1
    return (out if bias is None else out + bias[:, None]).unflatten(-1, (height, -1))


def _is_plain(*args: Any) -> bool:
    return len(args) == 7 and args[0].ndim == 4 and not isinstance(args[4], str) and args[6] == 1
