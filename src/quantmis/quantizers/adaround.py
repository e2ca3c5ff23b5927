"""Learn for each weight whether to round it up or down (Nagel et al. 2020, AdaRound, arXiv:2004.10568)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from quantmis.quantizers.base import QUANTIZERS, require_range
from quantmis.quantizers.layerwise import Grid, Layerwise, damped
from quantmis.quantizers.learned_rounding import learn


@QUANTIZERS.add
@dataclass(frozen=True)
class AdaRound(Layerwise):
    """Choose between the two nearest codes of each weight so that the layer's outputs change least.

    The squared error of the outputs is a quadratic form in the weights, so each of the `iterations` sees all of the
    calibration inputs; the activation that follows the layer is left out of it. Levels are those of `Uniform`.

    >>> import torch
    >>> model, inputs = torch.nn.Linear(8, 8), torch.randn(32, 8)
    >>> quantized = AdaRound(bits=3, iterations=50).quantize(model, calibration=inputs)
    >>> quantized.layers[0].levels
    8
    """

    iterations: int = 1000
    name: ClassVar[str] = "adaround"

    def __post_init__(self):
        self.require_levels()
        require_range(self.name, "iterations", self.iterations, 1, 100_000)

    def solve(self, weight: Tensor, hessian: Tensor, grid: Grid) -> Tensor:
        """Return the codes that gradient descent chooses, [problems, rows, columns]."""
        moment = damped(hessian, 1e-6)
        exact = weight / grid.scale + grid.zero
        below = exact.floor()

        def squared(codes: Tensor) -> Tensor:
            difference = weight - grid.values(codes.clamp(grid.low, grid.high))
            return ((difference @ moment) * difference).sum(2, keepdim=True)

        unit = squared(exact.round()).clamp(min=1e-30) / weight.shape[2]  # per row: rows are problems of their own
        up = learn([exact - below], lambda step, shares: (squared(below + shares[0]) / unit).sum(), self.iterations)
        return (below + up[0]).clamp(grid.low, grid.high)
