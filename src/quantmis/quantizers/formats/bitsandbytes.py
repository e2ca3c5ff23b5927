"""Four-bit checkpoints of bitsandbytes in safetensors, without nested ("double") quantization of the scales.

`weight` packs two codes to a byte, the first in the high bits; `.absmax` holds the scale of each block; `.quant_map`
the sixteen levels; `.quant_state.bitsandbytes__nf4` (or fp4) JSON with the shape and the block size.
"""

import json
from typing import Any

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.quantizers.record import QuantizedLayer

STATE = ".weight.quant_state.bitsandbytes__"


def fits(tensors: dict[str, Tensor]) -> bool:
    """Say whether the names of a file's tensors are those of bitsandbytes."""
    return any(STATE in name for name in tensors)


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[tuple[QuantizedLayer, ...], dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    names = [name.partition(STATE)[0] for name in tensors if STATE in name]
    found = tuple(_layer(name, tensors) for name in names)
    used = tuple(f"{name}.weight" for name in names)
    return found, {key: value for key, value in tensors.items() if not key.startswith(used)}


def _layer(name: str, tensors: dict[str, Tensor]) -> QuantizedLayer:
    state = next(value for key, value in tensors.items() if key.startswith(f"{name}{STATE}"))
    words = json.loads(bytes(state.tolist()))
    require("nested_blocksize" not in words, f"{name}: the scales are quantized themselves, which is not read here")
    packed = tensors[f"{name}.weight"].flatten()
    shape = torch.Size(words["shape"])
    return QuantizedLayer(
        name=name,
        codes=torch.stack([packed >> 4, packed & 15], dim=1).flatten()[: shape.numel()].reshape(shape),
        scale=tensors[f"{name}.weight.absmax"].float().reshape(1, -1),
        levels=16,
        group_size=min(int(words["blocksize"]), shape.numel()),
        codebook=tensors[f"{name}.weight.quant_map"].float(),
        standard=True,
    )
