"""Checkpoints of compressed-tensors, vLLM's own format, in safetensors ("pack-quantized", symmetric or not).

`weight_packed` holds unsigned codes, those of a row in 32-bit words; `weight_scale` is [outputs, groups];
`weight_shape` is the shape before packing; `weight_zero_point`, where there is one, is packed along the outputs.
"""

from typing import Any

from torch import Tensor

from quantmis.errors import require
from quantmis.quantizers.formats.packing import Layers, parts_read, signed, unpacked
from quantmis.quantizers.record import QuantizedLayer

PARTS = ("weight_packed", "weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx")


def fits(tensors: dict[str, Tensor]) -> bool:
    """Say whether the names of a file's tensors are those of compressed-tensors."""
    return any(name.endswith(".weight_packed") for name in tensors)


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[Layers, dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    return parts_read(tensors, PARTS, _layer)


def _layer(name: str, tensors: dict[str, Tensor]) -> QuantizedLayer:
    packed, scale = tensors[f"{name}.weight_packed"], tensors[f"{name}.weight_scale"]
    rows, columns = (int(size) for size in tensors[f"{name}.weight_shape"])
    bits = packed.shape[1] * 32 // columns
    require(bits in (4, 8), f"{name} has codes of {bits} bits; read are 4 and 8")
    zeros = tensors.get(f"{name}.weight_zero_point")
    zero = None if zeros is None else unpacked(zeros.T, bits, rows).T
    scale = scale.reshape(rows, -1) if scale.shape[0] == rows else scale.reshape(1, 1)
    order = tensors.get(f"{name}.weight_g_idx")
    return signed(name, bits, unpacked(packed, bits, columns), scale, zero, -(-columns // scale.shape[1]), order)
