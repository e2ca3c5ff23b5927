"""The k-quants of ggml and its formats of four bits with levels of their own (llama.cpp, ggml/src/ggml-quants.c).

A block of 256 weights is cut into sub-blocks of 16 or 32. The block holds one scale in half precision, and each
sub-block a small integer that it is multiplied by; Q2_K, Q4_K and Q5_K have a smallest value per sub-block, kept in
the same way. In the record every sub-block is a group, with its scale multiplied out.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer, UInt8

Blocks = UInt8[np.ndarray, "blocks bytes"]
Part = Float[np.ndarray, "blocks groups"]


@dataclass(frozen=True, eq=False)
class Unpacked:
    """Hold the codes of blocks, and the scale and the offset of each of their sub-blocks, in float32."""

    codes: Integer[np.ndarray, "blocks weights"]
    scale: Part
    offset: Part | None = None


@dataclass(frozen=True)
class SubBlocks:
    """Say what a block holds: weights, bytes, weights of a sub-block, levels; `book` is what codes stand for."""

    weights: int
    size: int
    group: int
    levels: int
    unpack: Callable[[Blocks], Unpacked]
    book: tuple[float, ...] | None = None

    @property
    def scale_bits(self) -> float:
        """Bits of a block that are no codes."""
        return 8.0 * self.size - self.weights * float(np.log2(self.levels))


def half_of(blocks: Blocks, start: int) -> Float[np.ndarray, "blocks 1"]:
    """Return the number in half precision that each block holds from the byte `start` on."""
    return np.ascontiguousarray(blocks[:, start : start + 2]).view(np.float16).astype(np.float32)


def _bits(packed: Blocks, run: int, shifts: tuple[int, ...], mask: int) -> UInt8[np.ndarray, "blocks weights"]:
    """Return the codes of bytes that hold one weight in each of several places: `run` bytes, place by place."""
    runs = packed.reshape(len(packed), -1, 1, run)
    return ((runs >> np.array(shifts, np.uint8)[:, None]) & np.uint8(mask)).reshape(len(packed), -1)


def _two(blocks: Blocks) -> Unpacked:
    small = blocks[:, :16]
    codes = _bits(blocks[:, 16:80], 32, (0, 2, 4, 6), 3)
    scale, least = ((small & 15).astype(np.float32), (small >> 4).astype(np.float32))
    return Unpacked(codes, half_of(blocks, 80) * scale, -(half_of(blocks, 82) * least))


def _three(blocks: Blocks) -> Unpacked:
    low = _bits(blocks[:, 32:96], 32, (0, 2, 4, 6), 3)
    high = _bits(blocks[:, :32], 32, tuple(range(8)), 1)
    packed = blocks[:, 96:108]
    lower = _bits(packed[:, :8], 8, (0, 4), 15)
    upper = _bits(packed[:, 8:], 4, (0, 2, 4, 6), 3)
    scale = (lower | upper << 4).astype(np.int8) - np.int8(32)
    codes = low.astype(np.int8) - np.where(high == 0, 4, 0).astype(np.int8)
    return Unpacked(codes, half_of(blocks, 108) * scale.astype(np.float32))


def _scales_and_least(blocks: Blocks) -> tuple[Part, Part]:
    """Return the scales and smallest values of eight sub-blocks, six bits each in twelve bytes behind two halves."""
    first, second, third = (blocks[:, start : start + 4] for start in (4, 8, 12))
    scale = np.concatenate([first & 63, third & 15 | first >> 2 & 48], axis=1)
    least = np.concatenate([second & 63, third >> 4 | second >> 2 & 48], axis=1)
    return half_of(blocks, 0) * scale.astype(np.float32), -(half_of(blocks, 2) * least.astype(np.float32))


def _four(blocks: Blocks) -> Unpacked:
    return Unpacked(_bits(blocks[:, 16:], 32, (0, 4), 15), *_scales_and_least(blocks))


def _five(blocks: Blocks) -> Unpacked:
    high = _bits(blocks[:, 16:48], 32, tuple(range(8)), 1)
    return Unpacked(_bits(blocks[:, 48:], 32, (0, 4), 15) | high << 4, *_scales_and_least(blocks))


def _six(blocks: Blocks) -> Unpacked:
    low = _bits(blocks[:, :128], 64, (0, 4), 15)
    high = _bits(blocks[:, 128:192], 32, (0, 2, 4, 6), 3)
    scale = np.ascontiguousarray(blocks[:, 192:208]).view(np.int8).astype(np.float32)
    return Unpacked((low | high << 4).astype(np.int8) - np.int8(32), half_of(blocks, 208) * scale)


def _non_linear(blocks: Blocks) -> Unpacked:
    return Unpacked(_bits(blocks[:, 2:], 16, (0, 4), 15), half_of(blocks, 0))


def _non_linear_sub_blocks(blocks: Blocks) -> Unpacked:
    lower = np.stack([blocks[:, 4:8] & 15, blocks[:, 4:8] >> 4], axis=2).reshape(-1, 8)
    places = (blocks[:, 2:4, None] >> np.array([0, 2, 4, 6], np.uint8)).reshape(-1, 8)
    scale = (lower | (places & 3) << 4).astype(np.int8) - np.int8(32)
    return Unpacked(_bits(blocks[:, 8:], 16, (0, 4), 15), half_of(blocks, 0) * scale.astype(np.float32))


def _microscaling(blocks: Blocks) -> Unpacked:
    power = blocks[:, :1].astype(np.uint32)
    bits = np.where(power < 2, np.uint32(0x00200000) << power, (np.maximum(power, 1) - 1) << np.uint32(23))
    return Unpacked(_bits(blocks[:, 1:], 16, (0, 4), 15), bits.astype(np.uint32).view(np.float32))


NON_LINEAR = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
FOUR_BIT_FLOATS = (0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)

SUB_BLOCKS = {
    "Q2_K": SubBlocks(256, 84, 16, 4, _two),
    "Q3_K": SubBlocks(256, 110, 16, 8, _three),
    "Q4_K": SubBlocks(256, 144, 32, 16, _four),
    "Q5_K": SubBlocks(256, 176, 32, 32, _five),
    "Q6_K": SubBlocks(256, 210, 16, 64, _six),
    "IQ4_NL": SubBlocks(32, 18, 32, 16, _non_linear, NON_LINEAR),
    "IQ4_XS": SubBlocks(256, 136, 32, 16, _non_linear_sub_blocks, NON_LINEAR),
    "MXFP4": SubBlocks(32, 17, 32, 16, _microscaling, FOUR_BIT_FLOATS),
}
