"""EXL2 (exllamav2) in safetensors: a matrix of several widths, the more bits the more an input matters.

Inputs are sorted (`q_invperm` says where each is) and cut into groups; `q_groups` names the bits of each and its first
row of words in `q_weight`, [words, outputs], whose codes follow one another down a column, the lowest bits first. The
scale of a group and output is (q + 1)^2 times `q_scale_max` of the group over 256, in half precision, q being four bits
of `q_scale`, [groups, outputs / 8]. A weight is (code - half of the levels) * scale.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.inspection.exl2 import PARTS
from quantmis.quantizers.formats.packing import Layers, parts_read, unpacked
from quantmis.quantizers.record import QuantizedLayer

WIDTHS = (2, 3, 4, 5, 6, 8)
PRESCALE = 1 / 256


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[Layers, dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    return parts_read(tensors, PARTS, _layer)


def _layer(name: str, tensors: dict[str, Tensor]) -> QuantizedLayer:
    packed, pairs, scale, most = (tensors[f"{name}.{part}"] for part in PARTS[:4])
    groups = _groups(name, packed, pairs.flatten().tolist())
    codes = [_codes(packed[begin:end], bits) for bits, begin, end in groups]
    sizes = torch.tensor([each.shape[1] for each in codes])
    inputs, outputs = int(sizes.sum()), packed.shape[1]
    place = _places(name, tensors, inputs)
    fits = scale.dtype == torch.int32 and scale.shape == (len(groups), -(-outputs // 8)) and most.numel() == len(groups)
    require(fits, f"{name} is damaged: scales {list(scale.shape)} for {len(groups)} groups of {outputs} outputs")
    own = _scales(unpacked(scale, 4, outputs), most)
    group = torch.repeat_interleave(torch.arange(len(groups), dtype=torch.int32), sizes)[place]
    layer = QuantizedLayer(
        name=name,
        codes=torch.cat(codes, dim=1)[:, place].contiguous(),
        scale=own.T.contiguous(),
        levels=2 ** max(bits for bits, *_ in groups),
        group_size=int(sizes.max()),
        axis=0,
        group=group,
    )
    kept = 8.0 * sum(tensors[f"{name}.{part}"].nbytes for part in PARTS if f"{name}.{part}" in tensors)
    rest = kept - layer.nominal_bits - 8.0 * group.nbytes  # narrower codes than the widest are taken off here
    return replace(layer, scale_bits=rest)


def _groups(name: str, packed: Tensor, pairs: list[int]) -> list[tuple[int, int, int]]:
    """Return the bits of each group, and its first and last row of words."""
    bits, begins = pairs[::2], [each % 2**16 for each in pairs[1::2]]
    ends = [*begins[1:], len(packed)]
    whole = all(
        width in WIDTHS and begin < end and (end - begin) % (width if width in (3, 5) else 3 if width == 6 else 1) == 0
        for width, begin, end in zip(bits, begins, ends, strict=True)
    )
    sound = packed.dtype == torch.int32 and packed.ndim == 2 and bool(bits) and begins[0] == 0 and whole
    require(sound, f"{name} is damaged: its groups {pairs[:8]} do not divide {list(packed.shape)} words")
    return list(zip(bits, begins, ends, strict=True))


def _codes(words: Tensor, bits: int) -> Tensor:
    """Return the codes of a group, [outputs, inputs], signed."""
    unsigned = unpacked(words.T, bits, len(words) * 32 // bits)
    return (unsigned.to(torch.int16) - 2 ** (bits - 1)).to(torch.int8)


def _scales(codes: Tensor, most: Tensor) -> Tensor:
    whole = (codes.to(torch.int32) + 1).square().to(torch.float16)
    return (whole * (most.to(torch.float16) * PRESCALE)[:, None]).float()


def _places(name: str, tensors: dict[str, Tensor], inputs: int) -> Tensor:
    """Return where each input stands among the sorted ones."""
    place = tensors.get(f"{name}.q_invperm", torch.arange(inputs)).flatten().long() % 2**16
    whole = torch.equal(place.sort().values, torch.arange(inputs))
    require(whole, f"{name} is damaged: its order of {inputs} inputs is none")
    return place
