"""AWQ checkpoints in safetensors, of four bits, in AutoAWQ's three packings; a weight is (code - zero point) * scale.

gemm, for matrix products: `qweight` is [inputs, outputs / 8], a 32-bit word holding the codes of eight outputs, the
output of each of its nibbles from the lowest up being `ORDER`; `qzeros`, [groups, outputs / 8], packs zero points
alike; `scales` is [groups, outputs]. gemv, for products with a vector: `qweight` is [outputs, inputs / 8], in order;
`qzeros` and `scales` go along with it, filled up behind the last group. gemv_fast: `qweight` is [outputs / 4, inputs]
words of 16 bits, each of one code of four outputs, 64 inputs of an output after another; `qzeros` is [groups, outputs],
minus zero point times scale, filled up too.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.inspection.awq import PARTS, packing_of
from quantmis.inspection.words import numbers
from quantmis.quantizers.formats.packing import Layers, entry_of, group_size, parts_read, signed, unpacked
from quantmis.quantizers.record import QuantizedLayer

BITS = 4
ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
INTERLEAVED, RUN = 4, 64
"""Of gemv_fast: outputs that share a word, and inputs of each of them in a run."""


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[Layers, dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    return parts_read(tensors, PARTS, partial(_layer, words=words))


def _layer(name: str, tensors: dict[str, Tensor], words: dict[str, Any]) -> QuantizedLayer:
    codes, zero, scale = (tensors[f"{name}.{part}"] for part in PARTS)
    packing = packing_of(*map(entry_of, (codes, zero, scale)))
    shapes = ", ".join(str(list(each.shape)) for each in (codes, zero, scale))
    require(packing, f"{name} is damaged, or in no packing of AWQ: its codes, zero points and scales are {shapes}")
    said = {str(words[word]).lower() for word in ("version", "format", "checkpoint_format") if words.get(word)}
    require(not said or said == {packing}, f"{name} is packed as {packing}, its configuration says {', '.join(said)}")
    return {"gemm": _gemm, "gemv": _gemv, "gemv_fast": _gemv_fast}[str(packing)](name, codes, zero, scale, words)


def _gemm(name: str, codes: Tensor, packed: Tensor, scale: Tensor, words: Mapping[str, Any]) -> QuantizedLayer:
    inputs, (groups, outputs) = codes.shape[0], scale.shape
    require(codes.shape[1] * 32 == outputs * BITS, f"{name} is damaged: {codes.shape[1]} words for {outputs} outputs")
    size = group_size(name, inputs, groups, numbers(words, "group_size", "q_group_size"))
    return signed(name, BITS, _outputs(codes).T, scale.T, _outputs(packed).T, size)


def _outputs(words: Tensor) -> Tensor:
    """Return the codes of packed words, [rows, words], in the order of outputs, [rows, 8 * words]."""
    nibbles = torch.tensor([ORDER.index(output) for output in range(len(ORDER))], dtype=torch.int32)
    return ((words[:, :, None] >> nibbles * BITS) & (2**BITS - 1)).to(torch.uint8).flatten(1)


def _gemv(name: str, codes: Tensor, packed: Tensor, scale: Tensor, words: Mapping[str, Any]) -> QuantizedLayer:
    inputs = codes.shape[1] * 8
    size, groups = _groups(name, inputs, scale.shape[1], words)
    zero = unpacked(packed, BITS, packed.shape[1] * 8)[:, :groups]
    return signed(name, BITS, unpacked(codes, BITS, inputs), scale[:, :groups], zero, size)


def _gemv_fast(name: str, codes: Tensor, product: Tensor, scale: Tensor, words: Mapping[str, Any]) -> QuantizedLayer:
    inputs = codes.shape[1]
    size, groups = _groups(name, inputs, scale.shape[0], words)
    own = scale[:groups].T.contiguous()
    return QuantizedLayer(
        name=name,
        codes=_in_order(name, codes).contiguous(),
        scale=own,
        levels=2**BITS,
        group_size=size,
        axis=0,
        offset=product[:groups].T.contiguous(),
    )


def _groups(name: str, inputs: int, most: int, words: Mapping[str, Any]) -> tuple[int, int]:
    """Return the size of a group and their number, of which scales can be `most`; the rest fills up."""
    sizes = [inputs if size == -1 else size for size in numbers(words, "group_size", "q_group_size")]
    require(
        len(set(sizes)) == 1 and sizes[0] > 0 and inputs % sizes[0] == 0 and inputs // sizes[0] <= most,
        f"{name}: the packing leaves open how large a group is, and the configuration says {sizes or 'nothing'}",
        hint="the config.json of the model must lie beside its weights",
    )
    return sizes[0], inputs // sizes[0]


def _in_order(name: str, codes: Tensor) -> Tensor:
    """Return the codes of gemv_fast, [outputs, inputs]."""
    rows, inputs = codes.shape
    require(inputs % RUN == 0, f"{name} is damaged: {inputs} inputs are no runs of {RUN}")
    nibbles = (codes.to(torch.int32)[:, :, None] >> torch.arange(0, 16, BITS, dtype=torch.int32)) & (2**BITS - 1)
    runs = nibbles.to(torch.uint8).reshape(rows, inputs // RUN, INTERLEAVED, RUN).transpose(1, 2)
    eights = runs.reshape(rows * INTERLEAVED, inputs // 8, 2, 4).transpose(2, 3)  # even codes come first, then odd
    parts = eights.reshape(rows * INTERLEAVED, inputs // 32, 4, 4, 2).transpose(2, 3)  # pairs of each quarter in turn
    return parts.reshape(rows * INTERLEAVED, inputs)
