"""BitNet in safetensors, as transformers keeps it: ternary weights, four to a byte, with one scale for all.

Byte number r of a column holds the rows r, r + n, r + 2 n and r + 3 n of n rows of bytes, from the low bits up, each
plus one. Weights are codes over `weight_scale`, or times it where the layers are of the class `autobitlinear`.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.inspection.bitnet import PARTS
from quantmis.quantizers.formats.packing import Layers, parts_read
from quantmis.quantizers.record import QuantizedLayer


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[Layers, dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    return parts_read(tensors, PARTS, partial(_layer, words=words))


def _layer(name: str, tensors: dict[str, Tensor], words: dict[str, Any]) -> QuantizedLayer:
    scale, packed = (tensors[f"{name}.{part}"] for part in PARTS)
    multiplied = words.get("linear_class", "bitlinear") == "autobitlinear"
    fits = packed.dtype == torch.uint8 and packed.ndim == 2 and scale.numel() == 1
    require(fits, f"{name} is damaged: {list(packed.shape)} bytes of {packed.dtype}, {scale.numel()} scales")
    bias = multiplied and f"{name}.bias" in tensors
    require(not bias, f"{name} multiplies its bias by the scale too, which is not repeated here")
    codes = torch.cat([packed >> place & 3 for place in (0, 2, 4, 6)])
    require(int(codes.max()) < 3, f"{name} is damaged: it holds codes that are none of -1, 0 and 1")
    own = scale.float() if multiplied else 1 / scale.float()
    return QuantizedLayer(
        name=name,
        codes=codes.to(torch.int8) - 1,
        scale=own.reshape(1, 1),
        levels=3,
        group_size=codes.numel(),
        scale_bits=8.0 * scale.nbytes,
    )
