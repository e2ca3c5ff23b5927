"""Checkpoints of bitsandbytes in safetensors: four bits, their scales quantized too ("double") or not, and int8.

Four bits: `weight` packs two codes to a byte, the first in the high bits, and keeps the bytes as numbers of any type
(`quant_storage`); `.absmax` holds the scale of each block; `.quant_map` the sixteen levels;
`.quant_state.bitsandbytes__nf4` (or fp4) JSON with the shape and the block size. Nested scales are bytes that stand for
an entry of `.nested_quant_map`, times the `.nested_absmax` of their block, plus an offset. Eight bits: `weight` holds
the codes and `SCB` the largest magnitude of each output channel.
"""

from typing import Any

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.inspection.bitsandbytes import INT8, SCALE, STATE, STATES
from quantmis.inspection.words import require_understood
from quantmis.quantizers.record import QuantizedLayer
from quantmis.tensor_files import strict_json


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[tuple[QuantizedLayer, ...], dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    four = [name.partition(STATE)[0] for name in tensors if STATE in name]
    eight = [name.removesuffix(SCALE) for name in tensors if name.endswith(SCALE)]
    quantized_layers = (*(_four_bits(name, tensors) for name in four), *(_eight_bits(name, tensors) for name in eight))
    prefixes = tuple(f"{name}.weight" for name in (*four, *eight)) + tuple(f"{name}{SCALE}" for name in eight)
    return quantized_layers, {key: value for key, value in tensors.items() if not key.startswith(prefixes)}


def _four_bits(name: str, tensors: dict[str, Tensor]) -> QuantizedLayer:
    state = next(key for key in tensors if key.startswith(f"{name}{STATE}"))
    words = strict_json(bytes(tensors[state].tolist()), f"the state of {name}")
    require_understood(f"the state of {name}", words, STATES)
    kind = state.removeprefix(f"{name}{STATE}")
    state_kind = words.get("quant_type", kind)
    require(state_kind == kind, f"{name} is {kind} by its name and {state_kind} by its state")
    packed, absmax = (tensors[f"{name}.weight{part}"] for part in ("", ".absmax"))
    shape, codes = torch.Size(words["shape"]), packed.contiguous().flatten().view(torch.uint8)
    block, nested = int(words["blocksize"]), "nested_blocksize" in words
    size = shape.numel()
    is_whole = block > 0 and size > 0 and codes.numel() == -(-size // 2) and absmax.numel() == -(-size // block)
    require(is_whole, f"{name} is damaged: {codes.numel()} bytes and {absmax.numel()} scales for {list(shape)} weights")
    require(nested or absmax.is_floating_point(), f"{name} has scales of {absmax.dtype} and no word on what they mean")
    return QuantizedLayer(
        name=name,
        codes=torch.stack([codes >> 4, codes & 15], dim=1).flatten()[:size].reshape(shape),
        scale=(_nested(name, absmax, words, tensors) if nested else absmax.float()).reshape(1, -1),
        levels=16,
        group_size=min(block, size),
        codebook=tensors[f"{name}.weight.quant_map"].float(),
        standard=True,
        scale_bits=8.0 * (absmax.nbytes + tensors[f"{name}.weight.nested_absmax"].nbytes) + 32 if nested else None,
    )


def _nested(name: str, codes: Tensor, words: dict[str, Any], tensors: dict[str, Tensor]) -> Tensor:
    """Return scales that were quantized themselves, in float32."""
    book, scale = (tensors[f"{name}.weight.nested_{part}"].float() for part in ("quant_map", "absmax"))
    block = int(words["nested_blocksize"])
    is_whole = block > 0 and scale.numel() == -(-codes.numel() // block) and book.numel() == INT8
    require(is_whole, f"{name} is damaged: {scale.numel()} scales for {codes.numel()} scales in blocks of {block}")
    each = scale[torch.arange(codes.numel()) // block]
    return book[codes.flatten().int()] * each + torch.tensor(words["nested_offset"], dtype=torch.float32)


def _eight_bits(name: str, tensors: dict[str, Tensor]) -> QuantizedLayer:
    codes, scale = tensors[f"{name}.weight"], tensors[f"{name}{SCALE}"]
    layout = int(tensors.get(f"{name}.weight_format", torch.zeros(())))
    require(codes.dtype == torch.int8 and layout == 0, f"{name} holds {codes.dtype} in a layout of one accelerator")
    require(codes.ndim == 2 and scale.numel() == len(codes), f"{name} is damaged: {scale.numel()} scales")
    return QuantizedLayer(name, codes, (scale.float() / 127).reshape(-1, 1), INT8, codes.shape[1], axis=0)
