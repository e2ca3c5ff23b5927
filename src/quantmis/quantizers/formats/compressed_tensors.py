"""Checkpoints of compressed-tensors, vLLM's own format, in safetensors ("pack-quantized", symmetric or not).

`weight_packed` holds unsigned codes, those of a row in 32-bit words; `weight_scale` is [outputs, groups];
`weight_shape` is the shape before packing; `weight_zero_point`, where there is one, is packed along the outputs.
"""

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.quantizers.formats.packing import unpacked
from quantmis.quantizers.record import QuantizedLayer

PARTS = ("weight_packed", "weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx")


def fits(tensors: dict[str, Tensor]) -> bool:
    """Say whether the names of a file's tensors are those of compressed-tensors."""
    return any(name.endswith(".weight_packed") for name in tensors)


def layers(tensors: dict[str, Tensor]) -> tuple[tuple[QuantizedLayer, ...], dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    names = [name.removesuffix(".weight_packed") for name in tensors if name.endswith(".weight_packed")]
    used = {f"{name}.{part}" for name in names for part in PARTS}
    return tuple(_layer(name, tensors) for name in names), {key: t for key, t in tensors.items() if key not in used}


def _layer(name: str, tensors: dict[str, Tensor]) -> QuantizedLayer:
    packed, scale = tensors[f"{name}.weight_packed"], tensors[f"{name}.weight_scale"]
    rows, columns = (int(size) for size in tensors[f"{name}.weight_shape"])
    require(f"{name}.weight_g_idx" not in tensors, f"{name} was quantized with groups that are not neighbours")
    bits = packed.shape[1] * 32 // columns
    require(bits in (4, 8), f"{name} has codes of {bits} bits; read are 4 and 8")
    middle = 2 ** (bits - 1)
    zeros = tensors.get(f"{name}.weight_zero_point")
    zero = None if zeros is None else (unpacked(zeros.T, bits, rows).T - middle).contiguous().to(torch.int8)
    scale = scale.reshape(rows, -1) if scale.shape[0] == rows else scale.reshape(1, 1)
    return QuantizedLayer(
        name=name,
        codes=(unpacked(packed, bits, columns) - middle).to(torch.int8),
        scale=scale,
        levels=2**bits,
        group_size=-(-columns // scale.shape[1]),
        axis=0,
        zero_point=zero,
    )
