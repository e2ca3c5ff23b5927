"""Levels at the quantiles of a normal distribution (Dettmers et al. 2023, QLoRA, arXiv:2305.14314, appendix E)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import ndtri
from torch import Tensor

from quantmis.quantizers.base import QUANTIZERS, require_range
from quantmis.quantizers.codebook import Codebook, Codes, Per, require_rows

# The four-bit table as published and as every reader of the format has it; the formula gives it to seven digits.
NF4 = (
    *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
    *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
    *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
    *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
)


@QUANTIZERS.add
@dataclass(frozen=True)
class NormalFloat(Codebook):
    """Round each weight to a quantile of the normal distribution, times the largest magnitude of its group.

    With the defaults the codes and scales are those of bitsandbytes' NF4. Zero is one of the levels.

    >>> coded = NormalFloat().encode(torch.tensor([[0.0, 0.5, -2.0]]))
    >>> coded.codes.tolist(), coded.scale.tolist()
    ([[7, 10, 0]], [2.0])
    """

    bits: int = 4
    per: Per = "tensor"
    group_size: int | None = 64
    name: ClassVar[str] = "normal_float"
    levels_per_weight: ClassVar[str] = "2^bits"

    def __post_init__(self):
        require_range(self.name, "bits", self.bits, 2, 8)
        require_rows(self.name, self.per, self.group_size)

    def encode(self, weight: Tensor) -> Codes:
        """Return the codes 0 to 2^bits - 1 of the nearest levels and the largest magnitude of each row."""
        table = normal_quantiles(self.bits).to(weight.device)
        scale = weight.abs().amax(1)
        shares = (weight * (1.0 / scale.clamp(min=1e-38))[:, None]).clamp(-1, 1)
        codes = torch.bucketize(shares, (table[:-1] + table[1:]) / 2).to(torch.uint8)
        return Codes(codes, scale, levels=len(table), codebook=table, standard=True)


def normal_quantiles(bits: int) -> Float[Tensor, " levels"]:
    """Return the 2^bits levels, from -1 to 1, in float32.

    >>> normal_quantiles(2).tolist()
    [-1.0, 0.0, 0.4358181655406952, 1.0]
    """
    if bits == 4:
        return torch.tensor(NF4)
    half = 2 ** (bits - 1)
    outermost = 1 - (1 / (2 * half - 1) + 1 / (2 * half)) / 4
    positive = ndtri(np.linspace(outermost, 0.5, half + 1)[:-1])
    negative = -ndtri(np.linspace(outermost, 0.5, half)[:-1])
    levels = np.sort(np.concatenate([positive, [0.0], negative]))
    return torch.from_numpy((levels / levels.max()).astype(np.float32))
