"""GPTQ checkpoints in safetensors, as AutoGPTQ and gptqmodel write them (format "gptq", version 1).

`qweight` packs codes along the inputs, [inputs * bits / 32, outputs]; `qzeros` packs the zero points, less one, along
the outputs; `scales` is [groups, outputs]; `g_idx` names the group of each input. With act-order the groups are not
neighbours, and no group size describes them: such files are refused.
"""

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.quantizers.formats.packing import Layers, parts_read, signed, unpacked
from quantmis.quantizers.record import QuantizedLayer

PARTS = ("qweight", "qzeros", "scales", "g_idx")


def fits(tensors: dict[str, Tensor]) -> bool:
    """Say whether the names of a file's tensors are those of a GPTQ checkpoint."""
    return any(name.endswith(".qweight") for name in tensors)


def layers(tensors: dict[str, Tensor]) -> tuple[Layers, dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    return parts_read(tensors, PARTS, _layer)


def _layer(name: str, tensors: dict[str, Tensor]) -> QuantizedLayer:
    scale, words, packed = (tensors[f"{name}.{part}"] for part in ("scales", "qweight", "qzeros"))
    groups, outputs = scale.shape
    bits = packed.shape[1] * 32 // outputs
    inputs = words.shape[0] * 32 // bits
    require(bits in (2, 4, 8), f"{name} has codes of {bits} bits; read are 2, 4 and 8")
    size = -(-inputs // groups)
    order = tensors.get(f"{name}.g_idx")
    require(
        order is None or torch.equal(order.long(), torch.arange(inputs) // size),
        f"{name} was quantized with act-order, whose groups are not neighbours",
    )
    zero = (unpacked(packed, bits, outputs) + 1) % 2**bits
    return signed(name, bits, unpacked(words.T, bits, inputs), scale.T, zero.T, size)
