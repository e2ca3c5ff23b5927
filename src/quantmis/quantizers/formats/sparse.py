"""Matrices that compressed-tensors keeps without their zeros: half of each four weights ("2:4"), or any of them.

`bitmask`, [rows, columns / 8], has a bit for each weight, the lowest first; `compressed` holds the weights whose bit is
set, row after row. Of the weight `fc.weight` they are called `fc.bitmask` or `fc.weight.bitmask`.
"""

from math import prod

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.inspection.compressed_tensors import SPARSE

FEWEST_BITS = 8
"""Weights that a byte of a mask stands for: a shape beyond those would ask for more memory than the file has."""


def dense(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors with sparse matrices filled up with zeros, under their own names."""
    names = [name.removesuffix(".bitmask") for name in tensors if name.endswith(".bitmask")]
    parts = {f"{name}.{part}" for name in names for part in SPARSE}
    whole = {f"{name.removesuffix('.weight')}.weight": _filled(name, tensors) for name in names}
    return {name: value for name, value in tensors.items() if name not in parts} | whole


def _filled(name: str, tensors: dict[str, Tensor]) -> Tensor:
    values, mask = tensors[f"{name}.compressed"], tensors[f"{name}.bitmask"]
    shape = [int(size) for size in tensors[f"{name}.shape"].flatten()]
    fits = (
        len(shape) == 2
        and mask.dtype == torch.uint8
        and mask.shape == (shape[0], -(-shape[1] // FEWEST_BITS))
        and min(shape) > 0
    )
    require(fits, f"{name} is damaged: a mask of {list(mask.shape)} for a matrix of {shape}")
    bits = (mask[:, :, None] >> torch.arange(8, dtype=torch.uint8)) & 1
    places = bits.flatten(1)[:, : shape[1]].bool()
    count = int(places.sum())
    require(count == values.numel(), f"{name} is damaged: {values.numel()} weights for {count} places of {prod(shape)}")
    codes = values.flatten().view(torch.uint8) if values.element_size() == 1 else values.flatten()
    matrix = torch.zeros(shape, dtype=codes.dtype)
    matrix[places] = codes
    return matrix.view(values.dtype)
