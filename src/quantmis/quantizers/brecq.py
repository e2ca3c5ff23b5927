"""Learn how to round a block of layers at once, weighing outputs by their influence (Li et al. 2021, BRECQ).

arXiv:2102.05426. Where AdaRound makes each layer repeat its outputs, BRECQ makes each block (a residual block, say)
repeat its own, and errs rather where the model's predictions hardly depend on it: squared errors are weighted by the
diagonal of the Fisher information of the block's outputs.
"""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from quantmis.quantizers import layers as part
from quantmis.quantizers.base import QUANTIZERS, Change, Generators, require_range
from quantmis.quantizers.block_errors import SingleBlock, StackedBlock, can_be_stacked
from quantmis.quantizers.blocks import Block, blocks_of, observed
from quantmis.quantizers.calibrated import Calibrated
from quantmis.quantizers.calibration import evaluating
from quantmis.quantizers.codebook import write_layers
from quantmis.quantizers.learned_rounding import learn
from quantmis.quantizers.record import QuantizedLayer
from quantmis.quantizers.unrounded import recorded, steps_of, values_of

BATCH = 32


@QUANTIZERS.add
@dataclass(frozen=True)
class BRECQ(Calibrated):
    """Choose between the two nearest codes of each weight so that the outputs of each block change least.

    `blocks` names the blocks by shell patterns of module names, with commas between them; by default they are the
    parts that the model is made of. `fisher=False` weighs all outputs alike. The outputs of the model count as logits,
    or as values where there is one; those of a language model are losses. Batches of 32 inputs follow one another in
    their order for `iterations` steps. Levels are those of `Uniform`. Blocks of several models are learned at once, but
    for convolutions, which are faster one by one.

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
        self.require_levels()
        require_range(self.name, "iterations", self.iterations, 1, 100_000)

    def apply(self, models: list[nn.Module], calibration: list[Tensor] | None, generators: Generators) -> list[Change]:
        """Quantize the blocks of the models, in the order of their calls."""
        inputs = calibration or []
        names = blocks_of(models[0], self.blocks, inputs[0])
        weights = [{name: each.detach().clone() for name, each in part.weights(model).items()} for model in models]
        done = self._nearest(weights, models[0])
        targets = [observed(model, names, each, self.fisher) for model, each in zip(models, inputs, strict=True)]
        for name in names:
            own = [layer for layer in done[0] if layer == name or layer.startswith(f"{name}.")]
            if not own:  # its weight is that of another block
                continue
            pairs = zip(models, inputs, strict=True)
            now = [observed(model, [name], each, fisher=False)[name].arguments for model, each in pairs]
            blocks = [replace(each[name], arguments=arguments) for each, arguments in zip(targets, now, strict=True)]
            layers = [{layer: each[layer] for layer in own} for each in done]
            for model, each, result in zip(models, done, self._learned(models, blocks, layers, weights), strict=True):
                each.update(result)
                part.write(model, {layer: result[layer].dequantize() for layer in own})
        return [write_layers(model, tuple(each.values())) for model, each in zip(models, done, strict=True)]

    def _nearest(self, weights: list[dict[str, Tensor]], model: nn.Module) -> list[dict[str, QuantizedLayer]]:
        axes = {name: part.output_axis(layer) for name, layer in part.quantizable(model).items()}
        coded = {name: self.levels().code(name, [each[name] for each in weights], axes[name]) for name in weights[0]}
        return [{name: layers[index] for name, layers in coded.items()} for index in range(len(weights))]

    def _learned(
        self,
        models: list[nn.Module],
        blocks: list[Block],
        layers: list[dict[str, QuantizedLayer]],
        weights: list[dict[str, Tensor]],
    ) -> list[dict[str, QuantizedLayer]]:
        """Return the records of the layers of one block of each model, all at once where that is faster."""
        modules = [model.get_submodule(block.name) for model, block in zip(models, blocks, strict=True)]
        with ExitStack() as stack:
            for each in modules:
                stack.enter_context(evaluating(each))
            if can_be_stacked(modules[0], blocks[0]) and len({len(block.outputs) for block in blocks}) == 1:
                return self._block(StackedBlock(modules, blocks), layers, weights)
            alone = zip(modules, blocks, layers, weights, strict=True)
            return [self._block(SingleBlock(one, block), [own], [each])[0] for one, block, own, each in alone]

    def _block(
        self,
        block: StackedBlock | SingleBlock,
        layers: list[dict[str, QuantizedLayer]],
        weights: list[dict[str, Tensor]],
    ) -> list[dict[str, QuantizedLayer]]:
        """Return the layers of one block of each model, rounded up or down as gradient descent finds best."""
        names = list(layers[0])
        every = [[each[name] for each in layers] for name in names]
        exact = [
            torch.stack([steps_of(own, each[name]) for own, each in zip(of, weights, strict=True)])
            for name, of in zip(names, every, strict=True)
        ]
        below = [each.floor() for each in exact]

        def error(rows: Tensor, codes: list[Tensor]) -> Tensor:
            """Return the error of each model, [models]."""
            values = {name: values_of(of, each) for name, of, each in zip(names, every, codes, strict=True)}
            return block.error(rows, values)

        count = sum(each[0].numel() for each in exact)
        with torch.no_grad():
            unit = error(torch.arange(block.samples), [each.round() for each in exact]).clamp(min=1e-30) / count

        def in_units(step: int, shares: list[Tensor]) -> Tensor:
            rows = (torch.arange(BATCH) + step * BATCH) % block.samples
            return (error(rows, [low + up for low, up in zip(below, shares, strict=True)]) / unit).sum()

        ups = learn([high - low for high, low in zip(exact, below, strict=True)], in_units, self.iterations)
        codes = {name: low + up for name, low, up in zip(names, below, ups, strict=True)}
        return [{name: recorded(own[name], codes[name][index]) for name in names} for index, own in enumerate(layers)]
