"""Three levels, -1, 0 and 1 (1.58 bits), with a chosen fraction of zeros (Li et al. 2016, Ternary Weight Networks)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from quantmis.quantizers.base import QUANTIZERS, Codebook, Codes, require_range


@QUANTIZERS.add
@dataclass(frozen=True)
class Ternary(Codebook):
    """Set the smallest weights of each layer to zero, `sparsity` of them, and keep the sign of the others.

    The scale, the mean magnitude of the weights kept, is the least-squares optimum for that choice of zeros.

    >>> codes, scale, _ = Ternary(sparsity=0.5).encode(torch.tensor([[1.0, -3.0, 0.5, 5.0]]))
    >>> codes.tolist(), scale.tolist()
    ([[0, -1, 0, 1]], [4.0])
    """

    sparsity: float
    name: ClassVar[str] = "ternary"

    def __post_init__(self):
        require_range(self.name, "sparsity", self.sparsity, 0.0, 0.99)

    def encode(self, weight: Tensor) -> Codes:
        """Return codes in {-1, 0, 1} and one scale."""
        magnitude = weight.abs().flatten()
        order = magnitude.argsort(stable=True)  # equal weights keep their order, so that the count is exact
        kept = order[round(self.sparsity * len(order)) :]
        codes = torch.zeros_like(magnitude, dtype=torch.int8)
        codes[kept] = torch.where(weight.flatten()[kept] < 0, -1, 1).to(torch.int8)
        return Codes(codes.reshape(weight.shape), magnitude[kept].mean().reshape(1), levels=3)
