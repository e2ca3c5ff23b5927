"""GPTQ checkpoints in safetensors, as AutoGPTQ and gptqmodel write them (format "gptq", version 1).

`qweight` packs codes along the inputs, [inputs * bits / 32, outputs]; `qzeros` packs the zero points, less one, along
the outputs; `scales` is [groups, outputs]; `g_idx` names the group of each input, which with act-order are no
neighbours. Where the configuration says `checkpoint_format: gptq_v2`, zero points are packed as they are.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

from torch import Tensor

from quantmis.errors import require
from quantmis.quantizers.formats.packing import Layers, parts_read, signed, unpacked
from quantmis.quantizers.record import QuantizedLayer

PARTS = ("qweight", "qzeros", "scales", "g_idx")


def fits(names: Iterable[str]) -> bool:
    """Say whether the names of a file's tensors are those of a GPTQ checkpoint."""
    return any(name.endswith(".qweight") for name in names)


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[Layers, dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    return parts_read(tensors, PARTS, partial(_layer, words=words))


def _layer(name: str, tensors: dict[str, Tensor], words: dict[str, Any]) -> QuantizedLayer:
    scale, codes, packed = (tensors[f"{name}.{part}"] for part in ("scales", "qweight", "qzeros"))
    order = tensors.get(f"{name}.g_idx")
    groups, outputs = scale.shape
    bits = int(words.get("bits") or packed.shape[1] * 32 // outputs)
    if order is not None and len(order):
        bits = codes.shape[0] * 32 // len(order)
    require(bits in (2, 3, 4, 8), f"{name} has codes of {bits} bits; read are 2, 3, 4 and 8")
    inputs = codes.shape[0] * 32 // bits if order is None else len(order)
    require(
        codes.shape[0] == -(-inputs * bits // 32),
        f"{name} is damaged: {codes.shape[0]} words of {32 // bits} codes do not hold {inputs} inputs",
    )
    less = words.get("checkpoint_format") != "gptq_v2"
    zero = (unpacked(packed, bits, outputs) + less) % 2**bits
    return signed(name, bits, unpacked(codes.T, bits, inputs), scale.T, zero.T, -(-inputs // groups), order)
