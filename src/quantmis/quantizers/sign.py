"""One bit per weight: its sign, times the mean magnitude (Rastegari et al. 2016, XNOR-Net, eq. 6)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from quantmis.quantizers.base import QUANTIZERS
from quantmis.quantizers.codebook import Codebook, Codes, Per, require_rows


@QUANTIZERS.add
@dataclass(frozen=True)
class Sign(Codebook):
    """Keep the sign of each weight; the scale mean |w| is the least-squares optimum. Zero counts as positive.

    >>> coded = Sign().encode(torch.tensor([[1.0, -3.0]]))
    >>> coded.codes.tolist(), coded.scale.tolist()
    ([[1, -1]], [2.0])
    """

    per: Per = "tensor"
    group_size: int | None = None
    name: ClassVar[str] = "sign"
    levels_per_weight: ClassVar[str] = "2"

    def __post_init__(self):
        require_rows(self.name, self.per, self.group_size)

    def encode(self, weight: Tensor) -> Codes:
        """Return codes in {-1, 1} and the scale of each row."""
        codes = torch.where(weight < 0, -1, 1).to(torch.int8)
        return Codes(codes, weight.abs().mean(1, dtype=torch.float64).float(), levels=2)
