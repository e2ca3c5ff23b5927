"""Round the weight that costs least, let the others make up for it, repeat (Frantar & Alistarh 2022, OBQ).

Optimal Brain Compression, arXiv:2208.11580, algorithm 3. GPTQ is what remains of it when all rows go in one order.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from quantmis.errors import require
from quantmis.quantizers.base import QUANTIZERS, require_range
from quantmis.quantizers.layerwise import Grid, Layerwise, damped

MOST_WORK = 3e11
"""Rows times columns cubed, of all problems, beyond which a layer is refused: some minutes of one core."""
MEMORY = 2**24
"""Entries of the inverses that are held at once: rows are taken in chunks."""


@QUANTIZERS.add
@dataclass(frozen=True)
class OBQ(Layerwise):
    """Choose the codes of each row greedily, by what rounding each weight costs the layer's outputs.

    Exact and slow: time grows with rows times columns cubed. `damping` and the levels are as in `GPTQ`.

    >>> model, inputs = torch.nn.Linear(8, 8), torch.randn(32, 8)
    >>> quantized = OBQ(bits=3).quantize(model, calibration=inputs)
    >>> quantized.layers[0].levels
    8
    """

    damping: float = 0.01
    name: ClassVar[str] = "obq"

    def __post_init__(self):
        self.require_levels()
        require_range(self.name, "damping", self.damping, 1e-6, 1)

    def solve(self, weight: Tensor, hessian: Tensor, grid: Grid) -> Tensor:
        """Return the codes chosen greedily; `UserError` for layers that would take hours."""
        work = weight.shape[0] * weight.shape[1] * float(weight.shape[2]) ** 3
        require(
            work <= MOST_WORK,
            f"obq: layers of {weight.shape[1]} x {weight.shape[2]} weights in {weight.shape[0]} problems take too long",
            hint="gptq does nearly as well in a thousandth of the time; or quantize fewer models at once",
        )
        return obq(weight, damped(hessian, self.damping), grid, greedy=True)


def obq(
    weight: Float[Tensor, "problems rows columns"],
    hessian: Float[Tensor, "problems columns columns"],
    grid: Grid,
    greedy: bool,
) -> Float[Tensor, "problems rows columns"]:
    """Return the codes of weights rounded greedily, or from the first column to the last as GPTQ does."""
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
    rows, scale, zero = (value.flatten(0, 1) for value in (weight, grid.scale, grid.zero))
    problem = torch.arange(weight.shape[0]).repeat_interleave(weight.shape[1])
    size = max(1, MEMORY // weight.shape[2] ** 2)
    codes = [
        _rows(some, inverse[which], Grid(width, shift, grid.low, grid.high), greedy)
        for some, which, width, shift in zip(*(each.split(size) for each in (rows, problem, scale, zero)), strict=True)
    ]
    return torch.cat(codes).reshape(weight.shape)


def _rows(weight: Tensor, inverse: Tensor, grid: Grid, greedy: bool) -> Tensor:
    """Return the codes of rows, [rows, columns], each with its own inverse, which is used up."""
    rest, codes, every = weight.clone(), torch.zeros_like(weight), torch.arange(len(weight))
    done = torch.zeros_like(weight, dtype=torch.bool)
    for step in range(weight.shape[1]):
        rounded = grid.codes(rest)
        error = rest - grid.values(rounded)
        at = _cheapest(error, inverse, grid, done) if greedy else torch.full_like(every, step)
        codes[every, at], done[every, at] = rounded[every, at], True
        pivot, column = inverse[every, at, at], inverse[every, :, at]
        rest -= (error[every, at] / pivot)[:, None] * column
        inverse -= column[:, :, None] * (column / pivot[:, None])[:, None, :]
    return codes


def _cheapest(error: Tensor, inverse: Tensor, grid: Grid, done: Tensor) -> Tensor:
    """Return the weight of each row to round next: one that has left the levels, or else the cheapest."""
    cost = error.square() / inverse.diagonal(dim1=1, dim2=2).clamp(min=1e-300)
    outside = error.abs() > 0.5001 * grid.scale  # waiting would only take it further off (section 5 of the paper)
    return torch.where(outside, -error.abs() / grid.scale, cost).masked_fill(done, torch.inf).argmin(1)
