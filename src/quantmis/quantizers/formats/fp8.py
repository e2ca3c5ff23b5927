"""FP8 in blocks, as DeepSeek publishes it and transformers writes it: `weight` times `weight_scale_inv`.

A block is 128 by 128 where no configuration says otherwise; a scale is a number of 32 bits, or an exponent (`ue8m0`).
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.inspection.fp8 import BLOCK, PARTS, RUNTIME
from quantmis.quantizers.formats.floats import EIGHT_BITS, EXPONENT, eight_bits
from quantmis.quantizers.formats.packing import Layers, parts_read
from quantmis.quantizers.record import QuantizedLayer

SCALES = (torch.float32, torch.bfloat16, torch.float16, EXPONENT)


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[Layers, dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    quantized_layers, rest = parts_read(tensors, PARTS, partial(_layer, words=words))
    names = {f"{layer.name}.{part}" for layer in quantized_layers for part in RUNTIME}
    return quantized_layers, {name: value for name, value in rest.items() if name not in names}


def _layer(name: str, tensors: dict[str, Tensor], words: dict[str, Any]) -> QuantizedLayer:
    scale, weight = (tensors[f"{name}.{part}"] for part in PARTS)
    require(
        weight.dtype in EIGHT_BITS and weight.ndim == 2 and scale.dtype in SCALES,
        f"{name} holds {weight.dtype} in {weight.ndim} dimensions times {scale.dtype}; read are matrices of FP8",
    )
    block = words.get("weight_block_size", BLOCK)
    return eight_bits(name, weight, scale, None, None if scale.numel() == 1 else block)
