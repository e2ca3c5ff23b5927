"""Floating-point numbers of four to eight bits (Micikevicius et al. 2022, arXiv:2209.05433; OCP formats)."""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from quantmis.quantizers.base import QUANTIZERS, require_word
from quantmis.quantizers.codebook import Codebook, Codes, Per, require_rows

FORMATS = {
    "e4m3": (4, 3, 448.0),
    "e5m2": (5, 2, 57344.0),
    "e3m2": (3, 2, 28.0),
    "e2m3": (2, 3, 7.5),
    "e2m1": (2, 1, 6.0),
}
"""Bits of the exponent, bits of the fraction, and the largest finite number, above which codes mean something else."""


@QUANTIZERS.add
@dataclass(frozen=True)
class Minifloat(Codebook):
    """Round each weight to the nearest floating-point number of a few bits, times a scale.

    `format` says how many bits are exponent and fraction beside the sign: "e4m3" and "e5m2" are FP8, "e3m2" and "e2m3"
    FP6, "e2m1" FP4. One scale serves the "tensor" or an output "channel", as `per` says, or each run of `group_size`
    weights in it: the largest magnitude becomes the largest number of the format. Ties go to the even fraction.

    >>> coded = Minifloat(format="e2m1").encode(torch.tensor([[6.0, -0.8, 2.4, 0.25]]))
    >>> coded.codebook[coded.codes.long()].tolist(), coded.scale.tolist()
    ([[6.0, -1.0, 2.0, 0.0]], [1.0])
    """

    format: Literal["e4m3", "e5m2", "e3m2", "e2m3", "e2m1"] = "e4m3"
    per: Per = "channel"
    group_size: int | None = None
    name: ClassVar[str] = "minifloat"
    levels_per_weight: ClassVar[str] = "15 to 253"

    def __post_init__(self):
        require_word(self.name, "format", self.format, tuple(FORMATS))
        require_rows(self.name, self.per, self.group_size)

    def encode(self, weight: Tensor) -> Codes:
        """Return the codes of the nearest levels, from the lowest up, and the scale of each row."""
        table = levels_of(self.format).to(weight.device)
        scale = weight.abs().amax(1) / table[-1]
        shares = weight / scale.clamp(min=torch.finfo(torch.float32).tiny)[:, None]
        middle = (table[:-1] + table[1:]) / 2
        below, above = (torch.bucketize(shares, middle, right=side) for side in (False, True))
        is_odd = (below - len(table) // 2) % 2 == 1  # between two levels, of which one has an even fraction
        codes = torch.where(is_odd, above, below).to(torch.uint8)
        return Codes(codes, scale, levels=len(table), codebook=table, standard=True)


@cache
def levels_of(format: str) -> Float[Tensor, " levels"]:
    """Return the finite numbers of a format in ascending order, zero once, in float32.

    >>> levels_of("e2m1").tolist()[7:]
    [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
    """
    exponent_bits, fraction_bits, largest = FORMATS[format]
    bias, steps = 2 ** (exponent_bits - 1) - 1, 2**fraction_bits
    subnormal = [fraction / steps * 2.0 ** (1 - bias) for fraction in range(steps)]
    normal = [
        (1 + fraction / steps) * 2.0 ** (exponent - bias)
        for exponent in range(1, 2**exponent_bits)
        for fraction in range(steps)
    ]
    positive = [each for each in [*subnormal, *normal] if each <= largest]
    return torch.tensor([*(-each for each in reversed(positive[1:])), *positive])
