"""Evenly spaced levels: b-bit integers times a scale, per tensor or per output channel (round to nearest)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.quantizers.base import QUANTIZERS, Codebook, Codes, require_range

RANGES = 24
NARROWEST = 0.2
REFINEMENTS = 4


@QUANTIZERS.add
@dataclass(frozen=True)
class Uniform(Codebook):
    """Round each weight to one of 2^bits integers, -2^(bits-1) to 2^(bits-1) - 1, times a scale.

    The scale minimises the squared error of the weights: the best of a grid of ranges, each improved by least squares.
    `per` gives one scale to the "tensor" or one to each output "channel". Two bits are the four levels -2, -1, 0, 1.

    >>> codes, scale, _ = Uniform(bits=8).encode(torch.tensor([[0.0, 1.27, -0.64]]))
    >>> codes.tolist(), round(scale.item(), 6)
    ([[0, 127, -64]], 0.01)
    """

    bits: int
    per: Literal["tensor", "channel"] = "tensor"
    name: ClassVar[str] = "uniform"

    def __post_init__(self):
        require_range(self.name, "bits", self.bits, 2, 8)
        require(self.per in ("tensor", "channel"), f'uniform: per must be "tensor" or "channel", got {self.per!r}')

    def encode(self, weight: Tensor) -> Codes:
        """Return integer codes and one scale, or one per row."""
        rows = weight if self.per == "channel" else weight.reshape(1, -1)
        low, high = -(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1
        scale = _best_scale(rows, low, high)
        codes = _codes(rows, scale, low, high).to(torch.int8).reshape(weight.shape)
        return Codes(codes, scale.squeeze(1), levels=2**self.bits)


def _best_scale(rows: Tensor, low: int, high: int) -> Tensor:
    widest = torch.maximum(rows.amax(1, keepdim=True) / high, rows.amin(1, keepdim=True) / low)
    widest = widest.clamp(min=torch.finfo(rows.dtype).tiny)  # a row of zeros has no scale of its own
    best = widest
    for fraction in torch.linspace(1.0, NARROWEST, RANGES)[1:]:
        best = _better(rows, best, widest * fraction, low, high)
    for _ in range(REFINEMENTS):
        best = _better(rows, best, _least_squares(rows, best, low, high), low, high)
    return best


def _better(rows: Tensor, scale: Tensor, other: Tensor, low: int, high: int) -> Tensor:
    return torch.where(_error(rows, other, low, high) < _error(rows, scale, low, high), other, scale)


def _least_squares(rows: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
    codes = _codes(rows, scale, low, high)
    norm = codes.square().sum(1, keepdim=True)
    optimum = (rows * codes).sum(1, keepdim=True) / norm.clamp(min=1)
    return torch.where((norm > 0) & (optimum > 0), optimum, scale)


def _error(rows: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
    return (rows - scale * _codes(rows, scale, low, high)).square().sum(1, keepdim=True)


def _codes(rows: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
    return (rows / scale).round().clamp(low, high)
