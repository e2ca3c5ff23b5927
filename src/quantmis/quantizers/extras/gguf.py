"""The weight formats of llama.cpp, made by its own Python package gguf (ggml-org/llama.cpp, gguf-py).

A layer whose rows do not divide into the blocks of the format stays as it is, as llama.cpp leaves it. The model
computes with the dequantized weights; llama.cpp also rounds activations to eight bits, which is not repeated here.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from quantmis.quantizers import layers as part
from quantmis.quantizers.base import QUANTIZERS, Change, require_word
from quantmis.quantizers.codebook import written
from quantmis.quantizers.extras.adapter import Adapter
from quantmis.quantizers.formats.ggml import BLOCKS, decode
from quantmis.quantizers.record import QuantizedLayer, as_matrix


@QUANTIZERS.add
@dataclass(frozen=True)
class GGUF(Adapter):
    """Write the weights in a block format of llama.cpp: 32 weights and their scale, or 256 for the ternary ones.

    >>> GGUF(format="TQ2_0").library
    'gguf'
    """

    format: Literal["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "TQ1_0", "TQ2_0"] = "Q4_0"
    name: ClassVar[str] = "gguf"
    levels_per_weight: ClassVar[str] = "16 to 256, or 3"
    extra: ClassVar[str | None] = "gguf"
    library: ClassVar[str | None] = "gguf"

    def __post_init__(self):
        require_word(self.name, "format", self.format, tuple(BLOCKS))

    def convert(self, model: nn.Module, inputs: Tensor | None) -> Change:
        """Return the model with the weights that gguf's bytes stand for."""
        axes = {name: part.output_axis(layer) for name, layer in part.quantizable(model).items()}
        made = [self._layer(name, weight, axes[name]) for name, weight in part.weights(model).items()]
        return written(model, tuple(layer for layer in made if layer is not None))

    def _layer(self, name: str, weight: Tensor, axis: int) -> QuantizedLayer | None:
        from gguf import GGMLQuantizationType, quants

        rows = as_matrix(weight.detach().float(), axis)
        if rows.shape[1] % BLOCKS[self.format].weights:
            return None
        encoded = quants.quantize(rows.contiguous().numpy(), GGMLQuantizationType[self.format])
        return decode(name, encoded, self.format, weight.shape, axis)
