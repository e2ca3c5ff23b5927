"""The layers of a model that have weights to quantize, and those of the same model that are left alone."""

from collections.abc import Container
from typing import cast

import torch
from torch import Tensor, nn

KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Embedding)


def is_transposed(part: nn.Module) -> bool:
    """Say whether a layer is the Conv1D of GPT-2: a linear layer whose weight is [inputs, outputs].

    It is known by its name and its fields, so that transformers need not be installed.
    """
    return type(part).__name__ == "Conv1D" and hasattr(part, "nf") and isinstance(part.weight, Tensor)


def quantizable(model: nn.Module) -> dict[str, nn.Module]:
    """Return the layers whose weights quantizers replace, by name; layers that share a weight come once.

    >>> list(quantizable(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))))
    ['0', '2']
    """
    parts = {name: part for name, part in model.named_modules() if isinstance(part, KINDS) or is_transposed(part)}
    tensors = {name: part.weight for name, part in parts.items()}
    first = {id(weight): name for name, weight in reversed(tensors.items())}
    return {name: part for name, part in parts.items() if first[id(tensors[name])] == name}


def weights(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights that quantizers replace, by the name of their layer."""
    return {name: weight_of(part) for name, part in quantizable(model).items()}


def weight_of(part: nn.Module) -> Tensor:
    """Return the weight of a layer of `quantizable`."""
    return cast(Tensor, part.weight)


def output_axis(part: nn.Module) -> int:
    """Return the dimension of a layer's weight that counts its output channels."""
    return 1 if is_transposed(part) else 0


def write(model: nn.Module, dequantized: dict[str, Tensor]) -> None:
    """Replace the weights of the named layers of `model`, in place and in the model's own number format."""
    parts = quantizable(model)
    for name, value in dequantized.items():
        overwrite(parts[name], value)


@torch.no_grad()
def overwrite(part: nn.Module, value: Tensor) -> None:
    """Replace the weight of a layer, in place and in its own number format."""
    weight_of(part).copy_(value)


def weight_key(name: str) -> str:
    """Return the name of a layer's weight in the state of the model; a model that is itself a layer is named ""."""
    return f"{name}.weight".removeprefix(".")


def key_in(state: Container[str], name: str) -> str:
    """Return the name in `state` of what is recorded as `name`: the weight of a layer, or a matrix of another name."""
    return name if name in state and weight_key(name) not in state else weight_key(name)


def untouched(model: nn.Module, quantized: set[str]) -> tuple[str, ...]:
    """Return what has a weight matrix of its own and is not among `quantized`: layers, and parameters of other names.

    >>> untouched(nn.Sequential(nn.Linear(3, 3), nn.LSTM(3, 3)), {"0"})
    ('1.weight_ih_l0', '1.weight_hh_l0')
    """
    matrices = [name for name, value in model.named_parameters() if value.ndim > 1]
    names = [name.removesuffix("weight").removesuffix(".") if _is_weight(name) else name for name in matrices]
    return tuple(name for name in names if name not in quantized)


def _is_weight(name: str) -> bool:
    return name.rsplit(".", maxsplit=1)[-1] == "weight"
