"""One bit per weight: its sign, times the mean magnitude (Rastegari et al. 2016, XNOR-Net, eq. 6)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from quantmis.quantizers.base import QUANTIZERS, Codebook, Codes


@QUANTIZERS.add
@dataclass(frozen=True)
class Sign(Codebook):
    """Keep the sign of each weight; the scale mean |w| is the least-squares optimum. Zero counts as positive.

    >>> codes, scale, _ = Sign().encode(torch.tensor([[1.0, -3.0]]))
    >>> codes.tolist(), scale.tolist()
    ([[1, -1]], [2.0])
    """

    name: ClassVar[str] = "sign"

    def encode(self, weight: Tensor) -> Codes:
        """Return codes in {-1, 1} and one scale."""
        codes = torch.where(weight < 0, -1, 1).to(torch.int8)
        return Codes(codes, weight.abs().mean().reshape(1), levels=2)
