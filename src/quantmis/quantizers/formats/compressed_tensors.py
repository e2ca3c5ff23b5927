"""Checkpoints of compressed-tensors, vLLM's own format, in safetensors: integers, packed or not, FP8 and FP4.

Packed: `weight_packed` holds unsigned codes, those of a row in 32-bit words; `weight_scale` is [outputs, groups];
`weight_shape` is the shape before packing; `weight_zero_point`, where there is one, is packed along the outputs, or, in
files from before April 2025, holds signed bytes. Not packed: `weight` holds signed codes of a byte each, and
`weight_zero_point` too; or numbers of FP8. FP4 packs two codes to a byte, FP6 four to three (`floats`). A sparse matrix
is kept without its zeros (`sparse`), whatever the rest is.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.inspection.compressed_tensors import PARTS, PLAIN, RUNTIME
from quantmis.inspection.words import numbers
from quantmis.quantizers.formats.floats import EIGHT_BITS, eight_bits, four_bits, six_bits
from quantmis.quantizers.formats.packing import Layers, group_size, parts_read, signed, unpacked
from quantmis.quantizers.formats.sparse import dense
from quantmis.quantizers.record import QuantizedLayer


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[Layers, dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    tensors = dense(tensors)
    packed, rest = parts_read(tensors, PARTS, partial(_packed, words=words))
    plain, rest = parts_read(rest, PLAIN, partial(_plain, words=words))
    return (*packed, *plain), {name: value for name, value in rest.items() if not name.endswith(RUNTIME)}


def _weights(words: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield what the groups of a configuration say of weights."""
    for group in (words.get("config_groups") or {}).values():
        yield group.get("weights") or {}


def _sizes(words: Mapping[str, Any]) -> list[int]:
    return [size for each in _weights(words) for size in numbers(each, "group_size")]


def _block(codes: Tensor, scale: Tensor, words: Mapping[str, Any]) -> list[int] | None:
    """Return the shape of the blocks that share a scale, where the scales are not those of outputs."""
    shapes = [each.get("block_structure") for each in _weights(words) if each.get("strategy") == "block"]
    pairs = [each for each in shapes if isinstance(each, list) and len(each) == 2 and all(type(n) is int for n in each)]
    fitting = [
        pair
        for pair in pairs
        if min(pair) > 0
        and scale.shape == tuple(-(-size // each) for size, each in zip(codes.shape, pair, strict=True))
    ]
    return fitting[0] if fitting else None


def _bits(name: str, columns: int, count: int, words: Mapping[str, Any]) -> int:
    """Return the bits of a code, of which `count` words hold a row."""
    own = {bits for each in _weights(words) for bits in numbers(each, "num_bits")} or {4, 8}
    fitting = [bits for bits in range(1, 9) if bits in own and -(-columns * bits // 32) == count]
    require(
        len(fitting) == 1,
        f"{name} has {count} words of codes for {columns} inputs, which are not codes of {sorted(own)} bits, "
        "packed without a gap",
        hint="the config.json of the model must lie beside its weights",
    )
    return fitting[0]


def _packed(name: str, tensors: dict[str, Tensor], words: dict[str, Any]) -> QuantizedLayer:
    packed, scale = tensors[f"{name}.weight_packed"], tensors[f"{name}.weight_scale"]
    if packed.dtype == torch.uint8:
        whole = tensors.get(f"{name}.weight_global_scale")
        is_six = whole is None and 3 * 8 * scale.shape[-1] == packed.shape[-1]
        return six_bits(name, packed, scale) if is_six else four_bits(name, packed, scale, whole)
    rows, columns = (int(size) for size in tensors[f"{name}.weight_shape"])
    require(packed.shape[0] == rows, f"{name} is damaged: {packed.shape[0]} rows of codes, and {rows} are said")
    bits = _bits(name, columns, packed.shape[1], words)
    scale = scale.reshape(rows, -1) if scale.shape[0] == rows else scale.reshape(1, 1).expand(rows, 1)
    order, groups = tensors.get(f"{name}.weight_g_idx"), scale.shape[1]
    zeros = tensors.get(f"{name}.weight_zero_point")
    zero = None if zeros is None else _zero_points(name, zeros, bits, (rows, groups))
    size = group_size(name, columns, groups, _sizes(words))
    return signed(name, bits, unpacked(packed, bits, columns), scale, zero, size, order)


def _levels(codes: Tensor, words: Mapping[str, Any]) -> int:
    """Return how many values codes of a byte each can take: what the configuration says, where they keep to it."""
    own = {bits for each in _weights(words) for bits in numbers(each, "num_bits")}
    bits = own.pop() if len(own) == 1 else 8
    low, high = codes.aminmax()
    fits = 1 <= bits <= 8 and int(low) >= -(2 ** (bits - 1)) and int(high) < 2 ** (bits - 1)
    return 2**bits if fits else 256


def _zero_points(name: str, zeros: Tensor, bits: int, shape: tuple[int, int]) -> Tensor:
    """Return zero points as unsigned codes: packed along the outputs, or signed bytes as older files have them."""
    if zeros.dtype == torch.int8:
        require(zeros.numel() == shape[0] * shape[1], f"{name} is damaged: zero points {list(zeros.shape)}")
        unsigned = zeros.reshape(shape).int() + 2 ** (bits - 1)
        fits = int(unsigned.min()) >= 0 and int(unsigned.max()) < 2**bits
        require(fits, f"{name} is damaged: its zero points are no codes of {bits} bits")
        return unsigned
    require(
        zeros.dtype == torch.int32 and zeros.shape == (-(-shape[0] * bits // 32), shape[1]),
        f"{name} is damaged: zero points {list(zeros.shape)} of {zeros.dtype} for {shape[0]} outputs",
    )
    return unpacked(zeros.T, bits, shape[0]).T


def _plain(name: str, tensors: dict[str, Tensor], words: dict[str, Any]) -> QuantizedLayer:
    codes, scale = tensors[f"{name}.weight"], tensors[f"{name}.weight_scale"]
    if codes.dtype in EIGHT_BITS and codes.ndim == 2:
        return eight_bits(name, codes, scale, tensors.get(f"{name}.weight_zero_point"), _block(codes, scale, words))
    require(
        codes.dtype == torch.int8 and codes.ndim == 2,
        f"{name} holds weights of {codes.dtype}; read are integers, packed or of a byte each, FP8 and FP4",
    )
    rows, columns = codes.shape
    axis = 0 if scale.numel() >= rows and scale.numel() > 1 else None
    scale = scale.float().reshape(rows if axis == 0 else 1, -1)
    zero = tensors.get(f"{name}.weight_zero_point")
    return QuantizedLayer(
        name=name,
        codes=codes,
        scale=scale,
        levels=_levels(codes, words),
        group_size=codes.numel() if axis is None else group_size(name, columns, scale.shape[1], _sizes(words)),
        axis=axis,
        zero_point=None if zero is None or not bool(zero.any()) else zero.reshape(scale.shape).to(torch.int8),
    )
