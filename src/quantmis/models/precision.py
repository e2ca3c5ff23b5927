"""Weights that stay in the number format that they were saved in, and are computed with in float32.

A language model in bfloat16 takes half the memory of one in float32, and most processors multiply it several times
slower. So its weights stay as they are, and each is widened when it is used, a part at a time where it is large:
activations, and with them losses, are those of the same weights in float32.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

SHORT = (torch.bfloat16, torch.float16)
"""Number formats that are widened."""

AT_ONCE = 2**23
"""Weights that are widened at once."""

LOOKING = frozenset(
    (
        *("__get__", "__set__", "__getitem__", "__len__", "__repr__", "dim", "size", "stride", "numel", "data_ptr"),
        *("t", "transpose", "permute", "movedim", "view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze"),
        *("expand", "split", "chunk", "unbind", "select", "narrow", "index_select", "contiguous", "detach", "clone"),
        *(
            "is_floating_point",
            "is_complex",
            "is_contiguous",
            "element_size",
            "type",
            "to",
            "float",
            "half",
            "bfloat16",
        ),
    )
)
"""Functions that compute nothing with the numbers: they look at a tensor, pick from it, or convert it."""

IN_PLACE = frozenset(
    ("__setitem__", *(f"__i{each}__" for each in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")))
)
"""Functions that write into their first tensor: a widened copy of it would be thrown away."""

_dtype_of = torch.Tensor.dtype.__get__  # pyright: ignore[reportAttributeAccessIssue]


def computing(module: nn.Module) -> AbstractContextManager[object]:
    """Return the context in which `module` computes in float32, whatever short format its weights are stored in.

    Only on a processor: an accelerator multiplies short formats by itself. A module in float32 computes as ever.
    """
    kinds = {(each.dtype, each.device.type) for each in module.parameters()}
    return _Widening() if any(kind in SHORT and where == "cpu" for kind, where in kinds) else nullcontext()


class _Widening(TorchFunctionMode):
    """Give every function that computes the float32 of each tensor in a short format that it is handed."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        words = kwargs or {}
        if func is _dtype_of:
            kind = func(*args)
            return torch.float32 if kind in SHORT else kind
        name = getattr(func, "__name__", "")
        if name in LOOKING or name in IN_PLACE or (name.endswith("_") and not name.endswith("__")):
            return func(*args, **words)
        if func is nn.functional.embedding:
            return _wide(func(*args, **words))
        if func is nn.functional.linear:
            return _linear(*args, **words)
        return func(*map(_wide, args), **{each: _wide(value) for each, value in words.items()})


def _wide(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.float() if value.dtype in SHORT else value
    if isinstance(value, tuple | list) and any(isinstance(each, Tensor) for each in value):  # pyright: ignore[reportUnknownVariableType]
        return type(value)(map(_wide, value))  # pyright: ignore[reportUnknownArgumentType]
    return value


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `x` times a weight [outputs, inputs], of which some rows are widened at a time."""
    x, bias = _wide(x), _wide(bias)
    if weight.dtype not in SHORT or weight.numel() <= AT_ONCE:
        return nn.functional.linear(x, _wide(weight), bias)
    outputs = x.new_empty(*x.shape[:-1], len(weight))
    rows = max(1, AT_ONCE // weight.shape[1])
    for start in range(0, len(weight), rows):
        part = slice(start, start + rows)
        outputs[..., part] = nn.functional.linear(x, weight[part].float(), None if bias is None else bias[part])
    return outputs
