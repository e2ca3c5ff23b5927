"""GPTQ checkpoints in safetensors, as AutoGPTQ, gptqmodel and AutoRound write them.

`qweight` packs codes along the inputs, [inputs * bits / 32, outputs]; `qzeros` packs the zero points along the outputs;
`scales` is [groups, outputs]; `g_idx` names the group of each input, which with act-order are no neighbours. Version 1
of the format, and AutoRound's packing of that name, keep zero points less one; `gptq_v2`, and AutoRound's own packings,
keep them as they are.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from quantmis.errors import require
from quantmis.inspection.gptq import OWN_PACKINGS, PARTS
from quantmis.inspection.words import numbers
from quantmis.quantizers.formats.packing import Layers, group_size, parts_read, signed, unpacked
from quantmis.quantizers.record import QuantizedLayer


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[Layers, dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    return parts_read(tensors, PARTS, partial(_layer, words=words))


def _layer(name: str, tensors: dict[str, Tensor], words: dict[str, Any]) -> QuantizedLayer:
    scale, codes, packed = (tensors[f"{name}.{part}"] for part in ("scales", "qweight", "qzeros"))
    order = tensors.get(f"{name}.g_idx")
    order = None if order is None or not len(order) else order
    groups, outputs = scale.shape
    bits = packed.shape[1] * 32 // outputs if order is None else codes.shape[0] * 32 // len(order)
    require(bits in (2, 3, 4, 8), f"{name} has codes of {bits} bits; read are 2, 3, 4 and 8")
    inputs = codes.shape[0] * 32 // bits if order is None else len(order)
    require(
        codes.shape == (-(-inputs * bits // 32), outputs) and packed.shape == (groups, -(-outputs * bits // 32)),
        f"{name} is damaged: {codes.shape[0]} words of {32 // bits} codes do not hold {inputs} inputs, "
        f"or {list(packed.shape)} words not the zero points of {groups} groups",
    )
    zero = (unpacked(packed, bits, outputs) + _less(words)) & (2**bits - 1)
    size = group_size(name, inputs, groups, numbers(words, "group_size", "q_group_size"))
    return signed(name, bits, unpacked(codes.T, bits, inputs), scale.T, zero.T, size, order)


def _less(words: Mapping[str, Any]) -> int:
    """Return what was subtracted from zero points before they were packed."""
    whole = "gptq_v2" in (words.get("checkpoint_format"), words.get("format"))
    return 0 if whole or words.get("packing_format") in OWN_PACKINGS else 1
