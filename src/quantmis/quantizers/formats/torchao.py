"""Checkpoints of torchao in safetensors (torchao.prototype.safetensors): integer weights, scales and zero points.

The tensor `fc.weight` is kept as `fc._weight_qdata`, `fc._weight_scale` and `fc._weight_zero_point`; the header says
under `fc.weight` in JSON of which type it was.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.inspection.torchao import HEADER, KINDS, PARTS
from quantmis.inspection.words import require_understood
from quantmis.quantizers.formats.floats import eight_bits
from quantmis.quantizers.formats.packing import Layers, group_size, parts_read
from quantmis.quantizers.record import QuantizedLayer
from quantmis.tensor_files import strict_json


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[Layers, dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    return parts_read(tensors, PARTS, partial(_layer, words=words))


def _layer(name: str, tensors: dict[str, Tensor], words: dict[str, Any]) -> QuantizedLayer:
    head = strict_json(words[f"{name}.weight"].encode(), f"the head of {name}")
    require(head["_type"] in KINDS, f"{name} is a {head['_type']}; read are {', '.join(KINDS)}")
    require_understood(f"the head of {name}", head["_data"], HEADER)
    parts = set(head.get("_tensor_data_names", ())) - {part.removeprefix("_weight_") for part in PARTS}
    require(not parts, f"{name} has {', '.join(sorted(parts))}, which is not understood")
    codes = tensors[f"{name}._weight_qdata"]
    if head["_type"] == "Float8Tensor":
        return eight_bits(name, codes, tensors[f"{name}._weight_scale"], None, None)
    scale = tensors[f"{name}._weight_scale"].float().reshape(len(codes), -1)
    zero = tensors[f"{name}._weight_zero_point"].reshape(scale.shape).to(torch.int8)
    bits = int(head["_data"].get("target_dtype", {"_data": "int8"})["_data"].removeprefix("int"))
    return QuantizedLayer(
        name=name,
        codes=codes,
        scale=scale,
        levels=2**bits,
        group_size=group_size(name, codes.shape[1], scale.shape[1], []),
        axis=0,
        zero_point=zero if bool(zero.any()) else None,
    )
