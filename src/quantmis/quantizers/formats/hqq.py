"""Checkpoints of HQQ in safetensors, of 1 to 8 bits: a weight is (code - zero) * scale, zero being no whole number.

The weight is cut into groups along its rows (`axis` 1), or down its columns (`axis` 0), each group a row or a column of
a matrix. `W_q` packs that matrix by whole parts of its rows: for four bits its upper half stands in the high bits.
"""

from typing import Any

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.inspection.hqq import NUMBERS, PARTS, STATE, TEXTS
from quantmis.quantizers.formats.packing import Layers
from quantmis.quantizers.record import QuantizedLayer

PACKINGS = {"8bit_u8": (8, 1), "4bit_u8": (4, 2), "2bit_u8": (2, 4), "1bit_u8": (1, 8), "3bit_32": (3, 10)}
"""Bits of a place and places of a word, by the name of a packing."""

WORD = {"3bit_32": torch.int32}
UNREAD = ("view_as_float", "quant_scale", "quant_zero")
"""Ways to keep codes and scales otherwise."""

LEVELS = {1.58: 3}
"""Of bits that are no whole number."""


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[Layers, dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    names = [name.removesuffix(f".{PARTS[0]}") for name in tensors if name.endswith(f".{PARTS[0]}")]
    keys = {f"{name}.{part}" for name in names for part in STATE}
    for name in names:
        strange = [key for key in tensors if key.startswith(f"{name}.") and key not in keys and key != f"{name}.bias"]
        require(not strange, f"{', '.join(strange[:3])} is not understood beside the codes of HQQ")
    rest = {key: value for key, value in tensors.items() if key not in keys}
    return tuple(_layer(name, tensors) for name in names), rest


def _layer(name: str, tensors: dict[str, Tensor]) -> QuantizedLayer:
    shape = torch.Size(int(size) for size in tensors[f"{name}.shape"])
    bits, size, axis = (float(tensors[f"{name}.{word}"]) for word in NUMBERS)
    said = {word: bytes(tensors[f"{name}.{word}"].tolist()).decode() for word in TEXTS if f"{name}.{word}" in tensors}
    refused = [word for word in UNREAD if bool(tensors.get(f"{name}.{word}", 0))]
    require(not refused, f"{name}: {', '.join(refused)} is not read", hint="save it with view_as_float=False")
    packing = said.get("packing", "")
    groups, rest = divmod(shape.numel(), int(size)) if size >= 1 else (0, 1)
    sound = packing in PACKINGS and len(shape) == 2 and min(shape) > 0 and rest == 0 and axis in (0, 1)
    require(
        sound, f"{name}: {packing or 'no packing'} of {list(shape)} in groups of {size:g} along {axis:g} is not read"
    )
    rows = groups if axis == 1 else int(size)
    codes = _unpacked(name, tensors[f"{name}.W_q"], packing, rows, shape.numel() // rows)
    scale, zero = (tensors[f"{name}.{part}"] for part in ("scale", "zero"))
    require(scale.numel() == zero.numel() == groups, f"{name} is damaged: {scale.numel()} scales for {groups} groups")
    levels = next((count for each, count in LEVELS.items() if abs(bits - each) < 1e-3), 2 ** int(bits))
    own = _along_rows if axis == 1 else _down_columns
    return own(name, codes.reshape(shape), scale.float(), zero.float(), int(size), levels)


def _unpacked(name: str, words: Tensor, packing: str, rows: int, columns: int) -> Tensor:
    """Return codes, [rows, columns], of words that hold a code of each of several parts of the rows."""
    bits, places = PACKINGS[packing]
    fits = words.dtype == WORD.get(packing, torch.uint8) and words.shape == (-(-rows // places), columns)
    require(fits, f"{name} is damaged: {list(words.shape)} words of {words.dtype} for [{rows}, {columns}] codes")
    parts = [(words >> bits * place & 2**bits - 1).to(torch.uint8) for place in reversed(range(places))]
    return torch.cat(parts)[:rows]


def _along_rows(name: str, codes: Tensor, scale: Tensor, zero: Tensor, size: int, levels: int) -> QuantizedLayer:
    axis = 0 if codes.shape[1] % size == 0 else None  # groups that go on in the next row are those of the flat weight
    rows = len(codes) if axis == 0 else 1
    parts = (part.reshape(rows, -1).contiguous() for part in (scale, zero))
    own, point = parts
    return QuantizedLayer(name, codes.contiguous(), own, levels, size, axis=axis, zero_point=point)


def _down_columns(name: str, codes: Tensor, scale: Tensor, zero: Tensor, size: int, levels: int) -> QuantizedLayer:
    """Return the record of groups that run down: of an input, every so many outputs share a scale."""
    outputs, inputs = codes.shape
    require(outputs % size == 0, f"{name}: groups of {size} down {outputs} outputs go on in the next column: not read")
    apart = outputs // size
    group = torch.arange(outputs, dtype=torch.int32) % apart
    own, point = (part.reshape(apart, inputs).T.contiguous() for part in (scale, zero))
    return QuantizedLayer(
        name=name,
        codes=codes.contiguous(),
        scale=own,
        levels=levels,
        group_size=size,
        axis=1,
        zero_point=point,
        group=None if apart == 1 else group,
    )
