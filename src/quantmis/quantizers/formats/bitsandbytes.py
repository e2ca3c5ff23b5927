"""Checkpoints of bitsandbytes in safetensors: four bits, their scales quantized too ("double") or not, and int8.

Four bits: `weight` packs two codes to a byte, the first in the high bits; `.absmax` holds the scale of each block;
`.quant_map` the sixteen levels; `.quant_state.bitsandbytes__nf4` (or fp4) JSON with the shape and the block size.
Nested scales are bytes that stand for an entry of `.nested_quant_map`, times the `.nested_absmax` of their block, plus
an offset. Eight bits: `weight` holds the codes and `SCB` the largest magnitude of each output channel.
"""

import json
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.quantizers.record import QuantizedLayer

STATE = ".weight.quant_state.bitsandbytes__"
SCALE = ".SCB"
INT8 = 256
"""Levels of the format with eight bits."""


def fits(names: Iterable[str]) -> bool:
    """Say whether the names of a file's tensors are those of bitsandbytes."""
    return any(STATE in name or name.endswith(SCALE) for name in names)


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[tuple[QuantizedLayer, ...], dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    four = [name.partition(STATE)[0] for name in tensors if STATE in name]
    eight = [name.removesuffix(SCALE) for name in tensors if name.endswith(SCALE)]
    found = (*(_four_bits(name, tensors) for name in four), *(_eight_bits(name, tensors) for name in eight))
    used = tuple(f"{name}.weight" for name in (*four, *eight)) + tuple(f"{name}{SCALE}" for name in eight)
    return found, {key: value for key, value in tensors.items() if not key.startswith(used)}


def _four_bits(name: str, tensors: dict[str, Tensor]) -> QuantizedLayer:
    state = next(value for key, value in tensors.items() if key.startswith(f"{name}{STATE}"))
    words = json.loads(bytes(state.tolist()))
    packed, absmax = (tensors[f"{name}.weight{part}"] for part in ("", ".absmax"))
    shape, codes = torch.Size(words["shape"]), packed.flatten()
    nested = "nested_blocksize" in words
    require(nested or absmax.is_floating_point(), f"{name} has scales of {absmax.dtype} and no word on what they mean")
    return QuantizedLayer(
        name=name,
        codes=torch.stack([codes >> 4, codes & 15], dim=1).flatten()[: shape.numel()].reshape(shape),
        scale=(_nested(name, absmax, words, tensors) if nested else absmax.float()).reshape(1, -1),
        levels=16,
        group_size=min(int(words["blocksize"]), shape.numel()),
        codebook=tensors[f"{name}.weight.quant_map"].float(),
        standard=True,
        scale_bits=8.0 * (absmax.nbytes + tensors[f"{name}.weight.nested_absmax"].nbytes) + 32 if nested else None,
    )


def _nested(name: str, codes: Tensor, words: dict[str, Any], tensors: dict[str, Tensor]) -> Tensor:
    """Return scales that were quantized themselves, in float32."""
    book, scale = (tensors[f"{name}.weight.nested_{part}"].float() for part in ("quant_map", "absmax"))
    each = scale.repeat_interleave(int(words["nested_blocksize"]))[: codes.numel()]
    return book[codes.flatten().int()] * each + torch.tensor(words["nested_offset"], dtype=torch.float32)


def _eight_bits(name: str, tensors: dict[str, Tensor]) -> QuantizedLayer:
    codes, scale = tensors[f"{name}.weight"], tensors[f"{name}{SCALE}"]
    rows = int(tensors.get(f"{name}.weight_format", torch.zeros(())))
    require(codes.dtype == torch.int8 and rows == 0, f"{name} holds {codes.dtype} in a layout of one accelerator")
    return QuantizedLayer(name, codes, (scale.float() / 127).reshape(-1, 1), INT8, codes.shape[1], axis=0)
