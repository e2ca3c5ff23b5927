"""MXFP4 as GPT-OSS has it: all experts of a layer in one tensor, numbers of FP4 with a power of two for each 32.

A record has the shape of the file, [experts, outputs, inputs]; transformers keeps the same matrices turned, which
`restore` sees to.
"""

from typing import Any

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.inspection.mxfp4 import BLOCKS, SCALES
from quantmis.quantizers.formats.floats import EXPONENT, FOUR_BITS, in_blocks, multipliers, nibbles
from quantmis.quantizers.formats.packing import Layers
from quantmis.quantizers.record import QuantizedLayer

BYTES = 16
"""Of a block of 32 codes."""


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[Layers, dict[str, Tensor]]:
    """Return the quantized matrices, by the names of the parameters that they are, and the other tensors."""
    names = [name.removesuffix(BLOCKS) for name in tensors if name.endswith(BLOCKS)]
    parts = {f"{name}{part}" for name in names for part in (BLOCKS, SCALES)}
    rest = {name: value for name, value in tensors.items() if name not in parts}
    return tuple(_matrices(name, tensors[f"{name}{BLOCKS}"], tensors[f"{name}{SCALES}"]) for name in names), rest


def _matrices(name: str, blocks: Tensor, scale: Tensor) -> QuantizedLayer:
    fits = blocks.dtype == torch.uint8 and blocks.ndim >= 3 and blocks.shape[-1] == BYTES
    fits &= scale.dtype in (torch.uint8, EXPONENT) and scale.shape == blocks.shape[:-1]
    require(fits, f"{name}: blocks {list(blocks.shape)} and scales {list(scale.shape)} do not fit")
    codes = nibbles(blocks.flatten(-2))
    return in_blocks(name, codes, multipliers(scale).flatten(1), 2 * BYTES, FOUR_BITS, scale.nbytes)
