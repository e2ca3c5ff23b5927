"""What every quantizer is: a model in, integer codes and the model that computes with them out.

A quantizer replaces the weights of Linear, convolution and Embedding layers and leaves biases, norms and everything
else alone. What it did is recorded per layer as integer codes and scales; two quantized models are the same exactly
when these records are, which is what the fingerprint says. Equality of dequantized floats would not do: rounding makes
several floats of one code.
"""

import copy
import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int8
from torch import Tensor, nn

from quantmis.errors import UserError, require
from quantmis.registry import Registry

SCALE_BITS = 32
QUANTIZABLE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Embedding)


class Codes(NamedTuple):
    """Hold what a codebook made of one weight matrix; `levels` is the number of values that a code can take."""

    codes: Int8[Tensor, "rows columns"]
    scale: Float[Tensor, " scales"]
    levels: int


@dataclass(frozen=True, eq=False)
class QuantizedLayer:
    """Hold the weights of one layer as `codes`, of the weight's shape, times `scale`, one or one per output row.

    `levels` is the number of values that a code can take.
    """

    name: str
    codes: Int8[Tensor, "rows *columns"]
    scale: Float[Tensor, " scales"]
    levels: int

    def dequantize(self) -> Float[Tensor, "rows *columns"]:
        """Return the weights that the layer computes with."""
        scale = self.scale.reshape(-1, *[1] * (self.codes.ndim - 1))
        return self.codes.to(self.scale.dtype) * scale

    @property
    def bits(self) -> float:
        """Bits that the layer takes: log2(levels) per weight and 32 per scale."""
        return self.codes.numel() * float(np.log2(self.levels)) + self.scale.numel() * SCALE_BITS

    def digest(self) -> bytes:
        """Return the SHA-256 of name, shapes, codes and scales."""
        digest = hashlib.sha256(repr((self.name, self.levels, *self.codes.shape, *self.scale.shape)).encode())
        digest.update(self.codes.numpy().tobytes())
        digest.update(self.scale.numpy().tobytes())
        return digest.digest()


@dataclass(frozen=True, eq=False)
class Quantized:
    """Hold what a quantizer made of a model.

    `model` computes with the quantized weights. `bits_per_weight` counts the scales, `sparsity` is the fraction of the
    quantized weights that are zero, both over the `weights` that were quantized. `fingerprint` is equal exactly for
    equal codes, scales and untouched parameters. `untouched` names the layers with weights that were left alone.
    """

    model: nn.Module
    layers: tuple[QuantizedLayer, ...]
    untouched: tuple[str, ...]
    weights: int
    bits_per_weight: float
    sparsity: float
    fingerprint: str


class Quantizer(ABC):
    """Quantize models. A concrete quantizer is a frozen dataclass of its parameters; `name` is what users write."""

    name: ClassVar[str]
    needs_calibration: ClassVar[bool] = False

    @abstractmethod
    def quantize(
        self, model: nn.Module, calibration: Any = None, generator: torch.Generator | None = None
    ) -> Quantized:
        """Return the quantized copy of `model`, which itself stays as it is.

        `calibration` holds inputs for the methods that look at data, `generator` the randomness of those that draw.
        Raises `UserError` where there is nothing to quantize.
        """


QUANTIZERS: Registry[Quantizer] = Registry("quantizer", group="quantmis.quantizers")


class Codebook(Quantizer):
    """Quantize every layer by itself, from its weights alone."""

    @abstractmethod
    def encode(self, weight: Float[Tensor, "rows columns"]) -> Codes:
        """Return the codes of a layer's weights, [rows, columns], their scale, [1] or [rows], and their levels."""

    def quantize(
        self, model: nn.Module, calibration: Any = None, generator: torch.Generator | None = None
    ) -> Quantized:
        """Return the copy of `model` whose layers' weights are codes times scales."""
        copied = copy.deepcopy(model)
        weights = quantizable(copied)
        require(
            weights,
            f"{self.name}: the model has no Linear, Conv or Embedding layer to quantize",
            hint="auditing the unquantized model as if it were quantized would say nothing",
        )
        layers = tuple(self._layer(name, weight) for name, weight in weights.items())
        for layer in layers:
            weights[layer.name].data.copy_(layer.dequantize())
        return assemble(copied, layers)

    def _layer(self, name: str, weight: Tensor) -> QuantizedLayer:
        flat = weight.detach().flatten(1).float()
        require(bool(torch.isfinite(flat).all()), f"{self.name}: the weights of {name} are NaN or infinite")
        codes = self.encode(flat)
        return QuantizedLayer(name, codes.codes.reshape(weight.shape), codes.scale, codes.levels)


def quantizable(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights that quantizers replace, by layer name; a weight shared by two layers comes once."""
    found = [(name, part.weight) for name, part in model.named_modules() if isinstance(part, QUANTIZABLE)]
    first = {id(weight): name for name, weight in reversed(found)}
    return {name: weight for name, weight in found if first[id(weight)] == name}


def assemble(model: nn.Module, layers: tuple[QuantizedLayer, ...]) -> Quantized:
    """Return the record of `model`, whose weights already are those of `layers`."""
    weights = sum(layer.codes.numel() for layer in layers)
    zeros = sum(int((layer.codes == 0).sum()) for layer in layers)
    return Quantized(
        model=model,
        layers=layers,
        untouched=untouched(model, {layer.name for layer in layers}),
        weights=weights,
        bits_per_weight=sum(layer.bits for layer in layers) / weights,
        sparsity=zeros / weights,
        fingerprint=fingerprint(model, layers),
    )


def fingerprint(model: nn.Module, layers: tuple[QuantizedLayer, ...]) -> str:
    """Return the SHA-256 over codes and scales of `layers` and over every parameter and buffer outside them."""
    digest = hashlib.sha256()
    for layer in layers:
        digest.update(layer.digest())
    coded = {f"{layer.name}.weight" for layer in layers}
    for name, value in model.state_dict().items():
        if name not in coded:
            digest.update(f"{name}{value.dtype}{tuple(value.shape)}".encode())
            digest.update(value.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()


def untouched(model: nn.Module, quantized: set[str]) -> tuple[str, ...]:
    """Return the layers with a weight matrix of their own, of any kind, that are not among `quantized`."""
    shared = {id(weight) for weight in quantizable(model).values()}
    parts = ((name, getattr(part, "weight", None)) for name, part in model.named_modules())
    matrices = ((name, weight) for name, weight in parts if isinstance(weight, Tensor) and weight.ndim > 1)
    return tuple(name for name, weight in matrices if name not in quantized and id(weight) not in shared)


def require_range(name: str, parameter: str, value: float, low: float, high: float) -> None:
    """Raise `UserError` unless `low` <= `value` <= `high`."""
    if not low <= value <= high:
        raise UserError(f"{name}: {parameter} must lie between {low} and {high}, got {value}")
