"""Three levels, -1, 0 and 1 (1.58 bits), with a chosen fraction of zeros (Li et al. 2016, Ternary Weight Networks)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from quantmis.quantizers.base import QUANTIZERS, require_range
from quantmis.quantizers.codebook import Codebook, Codes, Per, require_rows


@QUANTIZERS.add
@dataclass(frozen=True)
class Ternary(Codebook):
    """Set the smallest weights of each layer to zero, `sparsity` of them, and keep the sign of the others.

    The scale, the mean magnitude of the weights kept, is the least-squares optimum for that choice of zeros.

    >>> coded = Ternary(sparsity=0.5).encode(torch.tensor([[1.0, -3.0, 0.5, 5.0]]))
    >>> coded.codes.tolist(), coded.scale.tolist()
    ([[0, -1, 0, 1]], [4.0])
    """

    sparsity: float
    per: Per = "tensor"
    group_size: int | None = None
    name: ClassVar[str] = "ternary"
    levels_per_weight: ClassVar[str] = "3"

    def __post_init__(self):
        require_range(self.name, "sparsity", self.sparsity, 0.0, 0.99)
        require_rows(self.name, self.per, self.group_size)

    def encode(self, weight: Tensor) -> Codes:
        """Return codes in {-1, 0, 1} and the scale of each row."""
        order = weight.abs().argsort(dim=1, stable=True)  # equal weights keep their order, so that the count is exact
        largest = order[:, round(self.sparsity * weight.shape[1]) :]
        signs = torch.where(weight.gather(1, largest) < 0, -1, 1).to(torch.int8)
        codes = torch.zeros_like(weight, dtype=torch.int8).scatter(1, largest, signs)
        magnitude = weight.gather(1, largest).abs().sum(1, dtype=torch.float64) / max(largest.shape[1], 1)
        return Codes(codes, magnitude.float(), levels=3)
