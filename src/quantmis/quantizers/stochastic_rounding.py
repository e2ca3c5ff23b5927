"""Round up or down at random, right on average (Gupta et al. 2015, arXiv:1502.02551, section 3.1)."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from quantmis.quantizers import layers as part
from quantmis.quantizers.base import QUANTIZERS, Change, Generators, Quantizer
from quantmis.quantizers.codebook import Per, write_layers
from quantmis.quantizers.record import QuantizedLayer, as_matrix, from_matrix
from quantmis.quantizers.uniform import Uniform


@QUANTIZERS.add
@dataclass(frozen=True)
class StochasticRounding(Quantizer):
    """Round each weight up with a probability equal to its distance from the level below, and down otherwise.

    The levels are those of `Uniform(bits, per, group_size, range=range)`. Two draws differ, which is what makes it
    interesting: does randomness buy privacy that rounding to the nearest does not?

    >>> model, draw = nn.Linear(8, 8), torch.Generator().manual_seed(0)
    >>> quantized = StochasticRounding(bits=2).quantize(model, generator=draw)
    >>> quantized.layers[0].levels
    4
    """

    bits: int
    per: Per = "tensor"
    group_size: int | None = None
    range: Literal["mse", "max", "percentile"] = "max"
    name: ClassVar[str] = "stochastic_rounding"
    levels_per_weight: ClassVar[str] = "2^bits"
    needs_generator: ClassVar[bool] = True

    def __post_init__(self):
        self.nearest()  # checks the parameters

    def nearest(self) -> Uniform:
        """Return the quantizer that rounds to the nearest of the same levels."""
        return Uniform(self.bits, self.per, self.group_size, range=self.range)

    def apply(self, models: list[nn.Module], calibration: list[Tensor] | None, generators: Generators) -> list[Change]:
        """Draw a code for every weight, from the generator of its model."""
        weights = [{name: weight.detach().clone() for name, weight in part.weights(model).items()} for model in models]
        changes = self.nearest().apply(models, None, None)
        draws = [
            tuple(_draw(layer, own[layer.name], generator) for layer in change.layers)
            for change, own, generator in zip(changes, weights, generators or (), strict=True)
        ]
        return [write_layers(model, layers) for model, layers in zip(models, draws, strict=True)]


def _draw(layer: QuantizedLayer, weight: Tensor, generator: torch.Generator) -> QuantizedLayer:
    steps = as_matrix(weight.float(), layer.axis) / layer.spread(layer.scale)
    draws = torch.rand(steps.shape, generator=generator, device=generator.device).to(steps.device)
    low = -(layer.levels // 2)
    codes = (steps + draws).floor().clamp(low, low + layer.levels - 1).to(torch.int8)
    return replace(layer, codes=from_matrix(codes, layer.shape, layer.axis).contiguous())
