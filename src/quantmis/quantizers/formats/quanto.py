"""Checkpoints of Quanto (optimum-quanto) in safetensors: integers and FP8 of a byte, or two and four bits in groups.

Of `fc.weight`, `_data` holds codes of a byte and `_scale` a scale for each output. Two and four bits are packed: the
weight is cut into groups along its rows, one a row of a matrix, and a byte of `_data._data` holds a code of each
quarter (half) of the rows, the first in the low bits; a weight is code * scale - `_shift`, or, where shifts are whole
numbers, (code - shift) * scale.
"""

from typing import Any

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.inspection.quanto import BYTES, PACKED, RUNTIME, SCALE, SHIFT, TYPES
from quantmis.quantizers.formats.floats import EIGHT_BITS, eight_bits
from quantmis.quantizers.formats.packing import Layers
from quantmis.quantizers.record import QuantizedLayer


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[Layers, dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    names = [name.removesuffix(SCALE) for name in tensors if name.endswith(SCALE)]
    keys = {f"{name}{part}" for name in names for part in (BYTES, PACKED, SCALE, SHIFT)}
    rest = {key: value for key, value in tensors.items() if key not in keys and not key.endswith(RUNTIME)}
    own = [_packed if f"{name}{PACKED}" in tensors else _bytes for name in names]
    return tuple(read(name, tensors, words) for read, name in zip(own, names, strict=True)), rest


def _bytes(name: str, tensors: dict[str, Tensor], words: dict[str, Any]) -> QuantizedLayer:
    codes, scale = tensors[f"{name}{BYTES}"], tensors[f"{name}{SCALE}"]
    if codes.dtype in EIGHT_BITS and codes.ndim == 2:
        return eight_bits(name, codes, scale, None, None)
    fits = codes.dtype == torch.int8 and codes.ndim >= 2 and scale.numel() == len(codes)
    require(fits, f"{name} holds {codes.dtype} of shape {list(codes.shape)} and {scale.numel()} scales: not read")
    own = scale.reshape(-1, 1)
    return QuantizedLayer(name, codes, own, 256, codes[0].numel(), axis=0)


def _packed(name: str, tensors: dict[str, Tensor], words: dict[str, Any]) -> QuantizedLayer:
    """Return the record of the flat weight: how many outputs it has the model alone says."""
    packed, scale, shift = (tensors[f"{name}{part}"] for part in (PACKED, SCALE, SHIFT))
    groups = len(scale)
    fits = packed.dtype == torch.uint8 and packed.ndim >= 2 and scale.numel() == shift.numel() == groups
    require(fits, f"{name} is damaged: {list(packed.shape)} bytes, {list(scale.shape)} scales")
    bits = _bits(name, len(packed), groups, words)
    codes = torch.cat([packed.flatten(1) >> place & 2**bits - 1 for place in range(0, 8, bits)])[:groups]
    is_whole = not shift.is_floating_point()
    return QuantizedLayer(
        name=name,
        codes=codes.flatten(),
        scale=scale.reshape(1, -1),
        levels=2**bits,
        group_size=codes.shape[1],
        zero_point=shift.reshape(1, -1).to(torch.int8) if is_whole else None,
        offset=None if is_whole else -shift.reshape(1, -1),
    )


def _bits(name: str, rows: int, groups: int, words: dict[str, Any]) -> int:
    """Return the bits of codes, of which one row belongs to each scale, in so many rows of bytes."""
    said = words.get(name, {}).get("weights")
    fitting = [bits for bits in (2, 4) if -(-groups * bits // 8) == rows and TYPES.get(said, bits) == bits]
    require(len(fitting) == 1, f"{name} has {rows} rows of bytes for {groups} scales: neither 2 nor 4 bits")
    return fitting[0]
