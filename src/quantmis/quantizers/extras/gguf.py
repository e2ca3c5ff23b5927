"""The weight formats of llama.cpp, made by its own code: the package gguf, and for the k-quants its library ggml.

A layer whose rows do not divide into the blocks of the format stays as it is, and is listed; llama.cpp leaves it too,
or gives it another format. The model computes with the dequantized weights; llama.cpp also rounds activations to eight
bits, which is not repeated here.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from quantmis.errors import require
from quantmis.quantizers import layers as part
from quantmis.quantizers.base import QUANTIZERS, Change, require_word
from quantmis.quantizers.codebook import write_layers
from quantmis.quantizers.extras import ggml
from quantmis.quantizers.extras.adapter import Adapter
from quantmis.quantizers.formats.ggml import BLOCKS, LAYOUTS, decode
from quantmis.quantizers.record import QuantizedLayer, as_matrix
from quantmis.registry import spelling


@QUANTIZERS.add
@dataclass(frozen=True)
class GGUF(Adapter):
    """Write the weights in a block format of llama.cpp: 32 or 256 weights and their scales; k-quants by [llama-cpp].

    >>> GGUF(format="TQ2_0").library
    'gguf'
    """

    format: Literal[
        "Q4_0",
        "Q4_1",
        "Q5_0",
        "Q5_1",
        "Q8_0",
        "TQ1_0",
        "TQ2_0",
        "Q2_K",
        "Q3_K",
        "Q4_K",
        "Q5_K",
        "Q6_K",
        "IQ4_NL",
        "IQ4_XS",
    ] = "Q4_0"
    name: ClassVar[str] = "gguf"
    levels_per_weight: ClassVar[str] = "3 to 256"
    extra: ClassVar[str | None] = "gguf"
    library: ClassVar[str | None] = "gguf"

    def __post_init__(self):
        require_word(self.name, "format", self.format, (*BLOCKS, *ggml.FORMATS))

    def convert(self, model: nn.Module, inputs: Tensor | None) -> Change:
        """Return the model with the weights that the bytes stand for; `UserError` where no layer has rows that fit."""
        axes = {name: part.output_axis(layer) for name, layer in part.quantizable(model).items()}
        layers = [self._layer(name, weight, axes[name]) for name, weight in part.weights(model).items()]
        fitting = tuple(layer for layer in layers if layer is not None)
        weights = LAYOUTS[self.format].weights
        require(
            fitting,
            f"{spelling(self)} left every layer as it was: none has rows of a multiple of {weights} weights",
            hint="uniform(bits=4), or another native quantizer, has no blocks",
        )
        return write_layers(model, fitting)

    def _layer(self, name: str, weight: Tensor, axis: int) -> QuantizedLayer | None:
        rows = as_matrix(weight.detach().float(), axis)
        if rows.shape[1] % LAYOUTS[self.format].weights:
            return None
        return decode(name, self._encoded(rows.contiguous().numpy()), self.format, weight.shape, axis)

    def _encoded(self, rows: Float32[np.ndarray, "rows columns"]) -> UInt8[np.ndarray, "rows bytes"]:
        if self.format in ggml.FORMATS:
            return ggml.encoded(spelling(self), rows, self.format)
        from gguf import GGMLQuantizationType, quants

        return quants.quantize(rows, GGMLQuantizationType[self.format])
