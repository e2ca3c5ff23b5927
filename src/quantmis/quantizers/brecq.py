"""Learn how to round a block of layers at once, weighing outputs by their influence (Li et al. 2021, BRECQ).

arXiv:2102.05426. Where AdaRound makes each layer repeat its outputs, BRECQ makes each block (a residual block, say)
repeat its own, and errs rather where the model's predictions hardly depend on it: squared errors are weighted by the
diagonal of the Fisher information of the block's outputs.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from quantmis.quantizers import layers as part
from quantmis.quantizers.base import QUANTIZERS, Change, Generators, require_range
from quantmis.quantizers.blocks import Block, blocks_of, observed
from quantmis.quantizers.calibrated import Calibrated
from quantmis.quantizers.calibration import evaluating
from quantmis.quantizers.codebook import written
from quantmis.quantizers.learned_rounding import learn
from quantmis.quantizers.record import QuantizedLayer, as_matrix, from_matrix

BATCH = 32


@QUANTIZERS.add
@dataclass(frozen=True)
class BRECQ(Calibrated):
    """Choose between the two nearest codes of each weight so that the outputs of each block change least.

    `blocks` names the blocks by shell patterns of module names, with commas between them; by default they are the
    parts that the model is made of. `fisher=False` weighs all outputs alike. The outputs of the model count as logits,
    or as values where there is one. Batches of 32 inputs follow one another in their order for `iterations` steps.
    Levels are those of `Uniform`. Models are taken one by one.

    >>> model, inputs = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)), torch.randn(32, 8)
    >>> quantized = BRECQ(bits=3, iterations=50).quantize(model, calibration=inputs)
    >>> [layer.name for layer in quantized.layers]
    ['0', '2']
    """

    iterations: int = 1000
    blocks: str = ""
    fisher: bool = True
    name: ClassVar[str] = "brecq"

    def __post_init__(self):
        self.levels()  # checks the parameters
        require_range(self.name, "iterations", self.iterations, 1, 100_000)

    def apply(self, models: list[nn.Module], calibration: list[Tensor] | None, generators: Generators) -> list[Change]:
        """Quantize the blocks of each model, in the order of their calls."""
        return [self._one(model, inputs) for model, inputs in zip(models, calibration or (), strict=True)]

    def _one(self, model: nn.Module, inputs: Tensor) -> Change:
        names = blocks_of(model, self.blocks, inputs)
        weights = {name: weight.detach().clone() for name, weight in part.weights(model).items()}
        nearest = {layer.name: layer for layer in self._nearest(weights, model)}
        wanted = observed(model, names, inputs, self.fisher)
        for name in names:
            now = observed(model, [name], inputs, fisher=False)[name]
            block = replace(wanted[name], arguments=now.arguments)
            own = {layer: nearest[layer] for layer in nearest if layer == name or layer.startswith(f"{name}.")}
            if not own:  # its weight is that of another block
                continue
            with evaluating(model):
                nearest.update(self._block(model, block, own, weights))
            part.write(model, {layer: nearest[layer].dequantize() for layer in own})
        return written(model, tuple(nearest.values()))

    def _nearest(self, weights: dict[str, Tensor], model: nn.Module) -> list[QuantizedLayer]:
        axes = {name: part.output_axis(layer) for name, layer in part.quantizable(model).items()}
        return [self.levels().code(name, [weight], axes[name])[0] for name, weight in weights.items()]

    def _block(
        self, model: nn.Module, block: Block, layers: dict[str, QuantizedLayer], weights: dict[str, Tensor]
    ) -> dict[str, QuantizedLayer]:
        """Return the records of the layers of one block, rounded up or down as gradient descent finds best."""
        exact = {name: _steps(layer, weights[name]) for name, layer in layers.items()}
        below = {name: steps.floor() for name, steps in exact.items()}
        module, kind = model.get_submodule(block.name), block.outputs.dtype

        def error(rows: Tensor, codes: dict[str, Tensor]) -> Tensor:
            values = {
                part.weight_key(name.removeprefix(block.name).removeprefix(".")): _values(layers[name], each).to(kind)
                for name, each in codes.items()
            }
            outputs = functional_call(module, values, tuple(each[rows] for each in block.arguments))
            return ((outputs - block.outputs[rows]).square() * block.influence[rows]).mean()

        every = torch.arange(len(block.outputs))
        count = sum(each.numel() for each in exact.values())
        with torch.no_grad():
            unit = error(every, {name: steps.round() for name, steps in exact.items()}).clamp(min=1e-30) / count

        def in_units(step: int, shares: list[Tensor]) -> Tensor:
            rows = (torch.arange(BATCH) + step * BATCH) % len(every)
            return error(rows, {name: below[name] + up for name, up in zip(below, shares, strict=True)}) / unit

        ups = learn([exact[name] - below[name] for name in below], in_units, self.iterations)
        return {name: _recorded(layers[name], below[name] + up) for name, up in zip(below, ups, strict=True)}


def _steps(layer: QuantizedLayer, weight: Tensor) -> Tensor:
    """Return the weights in units of codes, [rows, columns]."""
    zero = 0 if layer.zero_point is None else layer.spread(layer.zero_point)
    return as_matrix(weight.float(), layer.axis) / layer.spread(layer.scale) + zero


def _clamped(layer: QuantizedLayer, codes: Tensor) -> Tensor:
    return codes.clamp(-(layer.levels // 2), (layer.levels - 1) // 2)


def _values(layer: QuantizedLayer, codes: Tensor) -> Tensor:
    """Return the weights that `codes`, whole or not, stand for; gradients pass through."""
    zero = 0 if layer.zero_point is None else layer.spread(layer.zero_point)
    return from_matrix((_clamped(layer, codes) - zero) * layer.spread(layer.scale), layer.shape, layer.axis)


def _recorded(layer: QuantizedLayer, codes: Tensor) -> QuantizedLayer:
    whole = _clamped(layer, codes).to(torch.int8)
    return replace(layer, codes=from_matrix(whole, layer.shape, layer.axis).contiguous())
