"""Round column by column, later columns making up for the errors of earlier ones (Frantar et al. 2022, GPTQ).

arXiv:2210.17323, algorithm 1.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from quantmis.quantizers.base import QUANTIZERS, require_range
from quantmis.quantizers.layerwise import Grid, Layerwise, damped, reordered

BLOCK = 128


@QUANTIZERS.add
@dataclass(frozen=True)
class GPTQ(Layerwise):
    """Choose the codes of each layer so that its outputs on the calibration inputs change little.

    Columns are rounded in turn, those with the largest inputs first when `act_order`, and the error of each is spread
    over those to come. `damping` is the share of the mean diagonal that is added to the second moment of the inputs.
    The levels are those of `Uniform` and are fixed before, groups' too ("static groups").

    >>> model, inputs = torch.nn.Linear(8, 8), torch.randn(32, 8)
    >>> quantized = GPTQ(bits=3).quantize(model, calibration=inputs)
    >>> quantized.layers[0].levels
    8
    """

    act_order: bool = True
    damping: float = 0.01
    name: ClassVar[str] = "gptq"

    def __post_init__(self):
        self.require_levels()
        require_range(self.name, "damping", self.damping, 1e-6, 1)

    def solve(self, weight: Tensor, hessian: Tensor, grid: Grid) -> Tensor:
        """Return the codes that algorithm 1 chooses, [problems, rows, columns]."""
        moment = damped(hessian, self.damping)
        if not self.act_order:
            return gptq(weight, moment, grid)
        order = moment.diagonal(dim1=1, dim2=2).argsort(dim=1, descending=True, stable=True)
        sorted_rows = reordered(moment, order).transpose(1, 2)
        codes = gptq(reordered(weight, order), reordered(sorted_rows, order), grid.permuted(order))
        return reordered(codes, order.argsort(dim=1))


def gptq(
    weight: Float[Tensor, "problems rows columns"], hessian: Float[Tensor, "problems columns columns"], grid: Grid
) -> Float[Tensor, "problems rows columns"]:
    """Return the codes of columns rounded from first to last.

    Corrections of columns beyond the current block are applied once per block, as one matrix product.
    """
    factor = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(hessian)), upper=True)
    rest, codes = weight.clone(), torch.empty_like(weight)
    for start in range(0, weight.shape[2], BLOCK):
        end = min(start + BLOCK, weight.shape[2])
        errors = torch.empty_like(rest[..., start:end])
        for at in range(start, end):
            column = rest[..., at]
            codes[..., at] = grid.codes(column, at)
            error = (column - grid.values(codes[..., at], at)) / factor[:, at, at, None]
            rest[..., at:end] -= error[..., None] * factor[:, None, at, at:end]
            errors[..., at - start] = error
        rest[..., end:] -= errors @ factor[:, start:end, end:]
    return codes
