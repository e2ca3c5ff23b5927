"""Checkpoints of compressed-tensors, vLLM's own format, in safetensors: "pack-quantized" and "int-quantized".

Packed: `weight_packed` holds unsigned codes, those of a row in 32-bit words; `weight_scale` is [outputs, groups];
`weight_shape` is the shape before packing; `weight_zero_point`, where there is one, is packed along the outputs.
Not packed: `weight` holds signed codes of a byte each, and `weight_zero_point` too.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.quantizers.formats.packing import Layers, parts_read, signed, unpacked
from quantmis.quantizers.record import QuantizedLayer

PARTS = ("weight_packed", "weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx")
PLAIN = ("weight_scale", "weight", "weight_zero_point")
RUNTIME = ("input_scale", "input_zero_point", "input_global_scale", "output_scale", "k_scale", "v_scale")
"""What such a file says of activations, which are no numbers of the model."""


def fits(names: Iterable[str]) -> bool:
    """Say whether the names of a file's tensors are those of compressed-tensors."""
    return any(name.endswith((".weight_packed", ".weight_scale")) for name in names)


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[Layers, dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    packed, rest = parts_read(tensors, PARTS, _packed)
    plain, rest = parts_read(rest, PLAIN, _plain)
    return (*packed, *plain), {name: value for name, value in rest.items() if not name.endswith(RUNTIME)}


def _packed(name: str, tensors: dict[str, Tensor]) -> QuantizedLayer:
    packed, scale = tensors[f"{name}.weight_packed"], tensors[f"{name}.weight_scale"]
    rows, columns = (int(size) for size in tensors[f"{name}.weight_shape"])
    bits = packed.shape[1] * 32 // columns
    require(bits in (4, 8), f"{name} has codes of {bits} bits; read are 4 and 8")
    zeros = tensors.get(f"{name}.weight_zero_point")
    zero = None if zeros is None else unpacked(zeros.T, bits, rows).T
    scale = scale.reshape(rows, -1) if scale.shape[0] == rows else scale.reshape(1, 1)
    order = tensors.get(f"{name}.weight_g_idx")
    return signed(name, bits, unpacked(packed, bits, columns), scale, zero, -(-columns // scale.shape[1]), order)


def _plain(name: str, tensors: dict[str, Tensor]) -> QuantizedLayer:
    codes, scale = tensors[f"{name}.weight"], tensors[f"{name}.weight_scale"]
    require(
        codes.dtype == torch.int8 and codes.ndim == 2,
        f"{name} holds weights of {codes.dtype}; read are integers, packed or of a byte each",
    )
    rows, columns = codes.shape
    axis = 0 if scale.numel() >= rows and scale.numel() > 1 else None
    scale = scale.float().reshape(rows if axis == 0 else 1, -1)
    zero = tensors.get(f"{name}.weight_zero_point")
    return QuantizedLayer(
        name=name,
        codes=codes,
        scale=scale,
        levels=256,
        group_size=codes.numel() if axis is None else -(-columns // scale.shape[1]),
        axis=axis,
        zero_point=None if zero is None or not bool(zero.any()) else zero.reshape(scale.shape).to(torch.int8),
    )
