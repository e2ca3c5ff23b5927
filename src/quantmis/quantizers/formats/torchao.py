"""Checkpoints of torchao in safetensors (torchao.prototype.safetensors): integer weights, scales and zero points.

The tensor `fc.weight` is kept as `fc._weight_qdata`, `fc._weight_scale` and `fc._weight_zero_point`; the header says
under `fc.weight` in JSON of which type it was.
"""

import json
from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.quantizers.formats.packing import Layers, parts_read
from quantmis.quantizers.record import QuantizedLayer

PARTS = ("_weight_qdata", "_weight_scale", "_weight_zero_point")
KINDS = ("Int8Tensor", "IntxUnpackedToInt8Tensor")


def fits(names: Iterable[str]) -> bool:
    """Say whether the names of a file's tensors are those of torchao."""
    return any(name.endswith(f".{PARTS[0]}") for name in names)


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[Layers, dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    return parts_read(tensors, PARTS, partial(_layer, words=words))


def rounds_activations(word: str) -> bool:
    """Say whether a word of the header describes a weight whose inputs are rounded too."""
    try:
        made = json.loads(word)
    except ValueError:
        return False
    parts = made.get("_data", {}) if isinstance(made, dict) else {}
    return isinstance(parts, dict) and any(parts.get(key) for key in ("act_quant_kwargs", "activation_quantization"))


def _layer(name: str, tensors: dict[str, Tensor], words: dict[str, Any]) -> QuantizedLayer:
    made = json.loads(words[f"{name}.weight"])
    require(made["_type"] in KINDS, f"{name} is a {made['_type']}; read are {', '.join(KINDS)}")
    codes = tensors[f"{name}._weight_qdata"]
    scale = tensors[f"{name}._weight_scale"].float().reshape(len(codes), -1)
    zero = tensors[f"{name}._weight_zero_point"].reshape(scale.shape).to(torch.int8)
    bits = int(made["_data"].get("target_dtype", {"_data": "int8"})["_data"].removeprefix("int"))
    return QuantizedLayer(
        name=name,
        codes=codes,
        scale=scale,
        levels=2**bits,
        group_size=codes.shape[1] // scale.shape[1],
        axis=0,
        zero_point=zero if bool(zero.any()) else None,
    )
