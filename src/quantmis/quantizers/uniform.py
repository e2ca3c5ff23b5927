"""Evenly spaced levels: b-bit integers times a scale (round to nearest; Krishnamoorthi 2018, arXiv:1806.08342)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from quantmis.quantizers.base import QUANTIZERS, require_range, require_word
from quantmis.quantizers.codebook import Codebook, Codes, Per, require_rows
from quantmis.quantizers.ranges import Levels, fit


@dataclass(frozen=True)
class Uniform(Codebook):
    """Round each weight to one of 2^bits integers, -2^(bits-1) to 2^(bits-1) - 1, times a scale.

    One scale serves the "tensor" or an output "channel", as `per` says, or each run of `group_size` weights in it.
    `symmetric=False` adds a zero point, so that the levels span the weights whatever
    their mean. `range` says how wide they span: "mse" minimises the squared error of the weights (the best of a grid
    of ranges, each improved by least squares), "max" reaches the largest weight, "percentile" the given percentile of
    the magnitudes. `narrow` leaves out -2^(bits-1), so that the levels lie evenly about zero. Two bits are the four
    levels -2, -1, 0, 1, or three when narrow.

    >>> coded = Uniform(bits=8).encode(torch.tensor([[0.0, 1.27, -0.64]]))
    >>> coded.codes.tolist(), round(coded.scale.item(), 6)
    ([[0, 127, -64]], 0.01)
    """

    bits: int
    per: Per = "tensor"
    group_size: int | None = None
    symmetric: bool = True
    range: Literal["mse", "max", "percentile"] = "mse"
    percentile: float = 99.9
    narrow: bool = False
    name: ClassVar[str] = "uniform"
    levels_per_weight: ClassVar[str] = "2^bits"

    def __post_init__(self):
        require_range(self.name, "bits", self.bits, 2, 8)
        require_rows(self.name, self.per, self.group_size)
        require_word(self.name, "range", self.range, ("mse", "max", "percentile"))
        require_range(self.name, "percentile", self.percentile, 1, 100)

    @property
    def ends(self) -> tuple[int, int]:
        """The smallest and the largest code."""
        return -(2 ** (self.bits - 1)) + self.narrow, 2 ** (self.bits - 1) - 1

    def encode(self, weight: Tensor) -> Codes:
        """Return integer codes and the scale and zero point of each row."""
        levels = self.levels(weight)
        codes = levels.codes(weight).to(torch.int8)
        zero = None if self.symmetric else levels.zero.squeeze(1).to(torch.int8)
        return Codes(codes, levels.scale.squeeze(1), levels=self.ends[1] - self.ends[0] + 1, zero_point=zero)

    def levels(self, rows: Tensor) -> Levels:
        """Return the levels that fit each of `rows`, [rows, columns]."""
        return fit(rows, self.ends, self.symmetric, self.range, self.percentile)


QUANTIZERS.add(Uniform)  # no decorator: what other methods build on keeps its signature for type checkers
