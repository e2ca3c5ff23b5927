"""Checkpoints of compressed-tensors, vLLM's own format, in safetensors: integers, packed or not, FP8 and FP4.

Packed: `weight_packed` holds unsigned codes, those of a row in 32-bit words; `weight_scale` is [outputs, groups];
`weight_shape` is the shape before packing; `weight_zero_point`, where there is one, is packed along the outputs, or, in
files from before April 2025, holds signed bytes. Not packed: `weight` holds signed codes of a byte each, and
`weight_zero_point` too; or numbers of FP8. FP4 packs two codes to a byte (`floats`).
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.quantizers.formats.floats import EIGHT_BITS, eight_bits, four_bits
from quantmis.quantizers.formats.packing import Layers, group_size, parts_read, signed, unpacked
from quantmis.quantizers.formats.words import Vocabulary, numbers, require_understood, words_of
from quantmis.quantizers.record import QuantizedLayer
from quantmis.tensor_files import Entry

PARTS = ("weight_packed", "weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx", "weight_global_scale")
PLAIN = ("weight_scale", "weight", "weight_zero_point")
RUNTIME = ("input_scale", "input_zero_point", "input_global_scale", "output_scale", "k_scale", "v_scale")
"""What such a file says of activations, which are no numbers of the model."""

FORMATS = (
    *("pack-quantized", "int-quantized", "naive-quantized", "mixed-precision", "float-quantized"),
    *("nvfp4-pack-quantized", "mxfp4-pack-quantized"),
)
WORDS = Vocabulary(
    words_of("quant_method ignore global_compression_ratio version run_compressed dequantize provider config_groups")
    | {"use_optimized_inference"},
    {
        "format": FORMATS,
        "quantization_status": ("compressed", "frozen"),
        "sparsity_config": ({"format": "dense"}, {"format": "dense", "sparsity_structure": "unstructured"}),
    },
)
GROUP = Vocabulary(words_of("targets weights input_activations"), {"format": FORMATS})
HISTORY = words_of(
    "num_bits group_size observer observer_kwargs actorder block_structure symmetric scale_dtype zp_dtype"
)
WEIGHTS = Vocabulary(
    HISTORY,
    {
        "type": ("int", "float"),
        "dynamic": (False,),
        "strategy": ("tensor", "channel", "group", "tensor_group", "block"),
    },
)
ACTIVATIONS = Vocabulary(HISTORY | words_of("type dynamic strategy"))


def fits(entries: Mapping[str, Entry]) -> bool:
    """Say whether the names of a file's tensors are those of compressed-tensors."""
    return any(name.endswith((".weight_packed", ".weight_scale")) for name in entries)


def require_read(where: str, words: Mapping[str, Any]) -> None:
    """Raise `UserError` for a configuration that says what is not read."""
    require_understood(where, words, WORDS)
    for name, group in (words.get("config_groups") or {}).items():
        require(isinstance(group, dict), f"{where}: {name} of config_groups is no table", hint="save it compressed")
        require_understood(f"{where}: {name}", group, GROUP)
        for part, vocabulary in (("weights", WEIGHTS), ("input_activations", ACTIVATIONS)):
            require_understood(f"{where}: {part} of {name}", group.get(part) or {}, vocabulary)


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[Layers, dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
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
    own = [bits for each in _weights(words) for bits in numbers(each, "num_bits")]
    fitting = [bits for bits in (4, 8) if -(-columns // (32 // bits)) == count and (not own or bits in own)]
    require(
        len(fitting) == 1,
        f"{name} has {count} words of codes for {columns} inputs, of {own or 'unknown'} bits; read are 4 and 8",
    )
    return fitting[0]


def _packed(name: str, tensors: dict[str, Tensor], words: dict[str, Any]) -> QuantizedLayer:
    packed, scale = tensors[f"{name}.weight_packed"], tensors[f"{name}.weight_scale"]
    if packed.dtype == torch.uint8:
        return four_bits(name, packed, scale, tensors.get(f"{name}.weight_global_scale"))
    rows, columns = (int(size) for size in tensors[f"{name}.weight_shape"])
    require(packed.shape[0] == rows, f"{name} is damaged: {packed.shape[0]} rows of codes, and {rows} are said")
    bits = _bits(name, columns, packed.shape[1], words)
    scale = scale.reshape(rows, -1) if scale.shape[0] == rows else scale.reshape(1, 1).expand(rows, 1)
    order, groups = tensors.get(f"{name}.weight_g_idx"), scale.shape[1]
    zeros = tensors.get(f"{name}.weight_zero_point")
    zero = None if zeros is None else _zero_points(name, zeros, bits, (rows, groups))
    size = group_size(name, columns, groups, _sizes(words))
    return signed(name, bits, unpacked(packed, bits, columns), scale, zero, size, order)


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
        levels=256,
        group_size=codes.numel() if axis is None else group_size(name, columns, scale.shape[1], _sizes(words)),
        axis=axis,
        zero_point=None if zero is None or not bool(zero.any()) else zero.reshape(scale.shape).to(torch.int8),
    )
