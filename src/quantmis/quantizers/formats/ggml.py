"""The block formats of ggml: what the bytes of a quantized weight mean (ggml-org/llama.cpp, ggml/src/ggml-quants.c).

A row is cut into blocks; a block holds the codes of its weights, packed, and a scale in half precision; the formats
with the suffix _1 also a smallest value.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int, UInt8

from quantmis.errors import require
from quantmis.quantizers.formats.i_quants import I_QUANTS
from quantmis.quantizers.formats.k_quants import SUB_BLOCKS, SubBlocks
from quantmis.quantizers.record import QuantizedLayer, from_matrix


@dataclass(frozen=True)
class BlockFormat:
    """Say how a block is laid out: its weights, the byte where each part starts, and what code stands for zero."""

    weights: int
    size: int
    levels: int
    zero: int
    scale: int = 0
    least: int | None = None
    high: int | None = None
    packed: int = 2


BLOCKS = {
    "Q4_0": BlockFormat(32, 18, 16, 8),
    "Q4_1": BlockFormat(32, 20, 16, 0, least=2, packed=4),
    "Q5_0": BlockFormat(32, 22, 32, 16, high=2, packed=6),
    "Q5_1": BlockFormat(32, 24, 32, 0, least=2, high=4, packed=8),
    "Q8_0": BlockFormat(32, 34, 256, 0),
    "TQ1_0": BlockFormat(256, 54, 3, 1, scale=52, packed=0),
    "TQ2_0": BlockFormat(256, 66, 3, 1, scale=64, packed=0),
}

LAYOUTS: dict[str, BlockFormat | SubBlocks] = {**BLOCKS, **SUB_BLOCKS, **I_QUANTS}

Blocks = UInt8[np.ndarray, "blocks bytes"]
Codes = Int[np.ndarray, "blocks weights"]


def decode(
    name: str, encoded: UInt8[np.ndarray, "rows bytes"], kind: str, shape: torch.Size, axis: int = 0
) -> QuantizedLayer:
    """Return the record of the layer `name` of that `shape` from its bytes in the format `kind`.

    Raises `UserError` for bytes that do not fill the shape.
    """
    layout, rows = LAYOUTS[kind], len(encoded)
    require(
        encoded.size * layout.weights == shape.numel() * layout.size,
        f"{name}: {encoded.size} bytes of {kind} do not hold weights of shape {list(shape)}",
    )
    blocks = encoded.reshape(-1, layout.size)
    if isinstance(layout, SubBlocks):
        return _of_sub_blocks(name, blocks, layout, rows, shape, axis)
    codes = torch.from_numpy(np.ascontiguousarray(_codes(blocks, kind) - layout.zero).astype(np.int8))
    return QuantizedLayer(
        name=name,
        codes=from_matrix(codes.reshape(rows, -1), shape, axis).contiguous(),
        scale=_halves(blocks, layout.scale, rows),
        levels=layout.levels,
        group_size=layout.weights,
        axis=axis,
        offset=None if layout.least is None else _halves(blocks, layout.least, rows),
    )


def _of_sub_blocks(
    name: str, blocks: Blocks, layout: SubBlocks, rows: int, shape: torch.Size, axis: int
) -> QuantizedLayer:
    parts = layout.unpack(blocks)
    offset = None if parts.offset is None else torch.from_numpy(parts.offset.reshape(rows, -1))
    return QuantizedLayer(
        name=name,
        codes=from_matrix(torch.from_numpy(parts.codes.reshape(rows, -1)), shape, axis).contiguous(),
        scale=torch.from_numpy(parts.scale.reshape(rows, -1)),
        levels=layout.levels,
        group_size=layout.group,
        axis=axis,
        offset=offset,
        codebook=None if layout.book is None else torch.tensor(layout.book, dtype=torch.float32),
        standard=layout.book is not None,
        scale_bits=len(blocks) * layout.scale_bits,
    )


def _halves(blocks: Blocks, start: int, rows: int) -> torch.Tensor:
    values = np.ascontiguousarray(blocks[:, start : start + 2]).view(np.float16)
    return torch.from_numpy(values.reshape(rows, -1))


def _codes(blocks: Blocks, kind: str) -> Codes:
    """Return the codes of each block, from zero up, or signed for Q8_0."""
    layout = BLOCKS[kind]
    packed = blocks[:, layout.packed :]
    if kind == "Q8_0":
        return packed.view(np.int8).astype(int)
    if kind == "TQ1_0":
        return _base_three(blocks)
    if kind == "TQ2_0":
        quarters = packed[:, :64].reshape(-1, 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8)[:, None]
        return (quarters & 3).reshape(len(blocks), 256).astype(int)
    codes = np.concatenate([packed & 15, packed >> 4], axis=1).astype(int)
    if layout.high is None:
        return codes
    fifth = np.unpackbits(blocks[:, layout.high : layout.high + 4], axis=1, bitorder="little")
    return codes | fifth.astype(int) << 4


def _base_three(blocks: Blocks) -> Codes:
    """Return ternary digits packed five to a byte: a byte times a power of three, its high bits times three."""
    powers = np.array([1, 3, 9, 27, 81], np.uint8)
    parts = [(blocks[:, :32], powers), (blocks[:, 32:48], powers), (blocks[:, 48:52], powers[:4])]
    digits = [(part[:, None, :] * power[:, None]).reshape(len(blocks), -1) for part, power in parts]
    return np.concatenate(digits, axis=1).astype(int) * 3 >> 8
