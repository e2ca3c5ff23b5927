"""The i-quants of ggml, one to three bits a weight, NVFP4 and Q1_0 (llama.cpp, ggml/src/ggml-quants.c).

A code of an i-quant stands for a run of four or eight weights of a table (`grids`); signs are kept beside it, a bit a
weight, or seven bits for eight weights whose number of minus signs is even. In the record each weight has the code of
its own value, so that a code takes more bits than in the file; `scale_bits` takes the difference off.
"""

import numpy as np
from jaxtyping import Float, UInt8, UInt16

from quantmis.quantizers.formats.grids import grid
from quantmis.quantizers.formats.k_quants import FOUR_BIT_FLOATS, Blocks, SubBlocks, Unpacked, half_of

TWO = (8, 25, 43)
THREE_SMALL = (4, 12, 20, 28, 36, 44, 52, 62)
THREE = (1, 3, 5, 7, 9, 11, 13, 15)
DELTA = 0.125
"""By how much the weights of IQ1 are off the whole numbers, up or down."""

ONE = tuple(whole + sign * DELTA for sign in (1, -1) for whole in (-1, 0, 1))
Magnitudes = UInt8[np.ndarray, "blocks weights"]
Runs = UInt16[np.ndarray, "blocks runs"]


def _book(magnitudes: tuple[int, ...]) -> tuple[int, ...]:
    return (*magnitudes, *(-value for value in magnitudes))


def _whole(blocks: Blocks, begin: int, end: int, kind: str) -> np.ndarray:
    return np.ascontiguousarray(blocks[:, begin:end]).view(kind)


def _nibbles(packed: Blocks) -> UInt8[np.ndarray, "blocks two"]:
    return np.stack([packed & 15, packed >> 4], axis=2).reshape(len(packed), -1)


def _signs(packed: Blocks) -> UInt8[np.ndarray, "blocks weights"]:
    """Return a bit for each weight from bytes that hold eight."""
    return np.unpackbits(packed, axis=1, bitorder="little")


def _even_signs(seven: UInt16[np.ndarray, "blocks runs"]) -> UInt8[np.ndarray, "blocks weights"]:
    """Return eight signs for seven bits: the last makes the number of minus signs even."""
    bits = (seven[:, :, None] >> np.arange(7, dtype=np.uint16) & 1).astype(np.uint8)
    last = bits.sum(2, keepdims=True, dtype=np.uint8) & 1
    return np.concatenate([bits, last], axis=2).reshape(len(seven), -1)


def _coded(name: str, runs: Runs, signs: UInt8[np.ndarray, "blocks weights"], levels: int) -> Magnitudes:
    """Return the codes of weights: the magnitude of each, behind all magnitudes where it is negative."""
    return grid(name)[runs].reshape(len(runs), -1) + signs * np.uint8(levels)


def _scaled(blocks: Blocks, steps: np.ndarray, factor: float) -> Float[np.ndarray, "blocks groups"]:
    whole = np.float32(0.5) + steps.astype(np.float32)
    return half_of(blocks, 0) * whole * np.float32(factor)


def _two_xxs(blocks: Blocks) -> Unpacked:
    words = _whole(blocks, 2, 66, "<u4").reshape(len(blocks), 8, 2)
    runs = np.ascontiguousarray(words[:, :, 0]).view(np.uint8).astype(np.uint16)
    seven = (words[:, :, 1, None] >> np.array([0, 7, 14, 21], np.uint32) & 127).reshape(len(blocks), -1)
    codes = _coded("IQ2_XXS", runs, _even_signs(seven.astype(np.uint16)), len(TWO))
    return Unpacked(codes, _scaled(blocks, words[:, :, 1] >> 28, 0.25))


def _two_xs(blocks: Blocks) -> Unpacked:
    words = _whole(blocks, 2, 66, "<u2")
    codes = _coded("IQ2_XS", words & 511, _even_signs(words >> 9), len(TWO))
    return Unpacked(codes, _scaled(blocks, _nibbles(blocks[:, 66:74]), 0.25))


def _two_s(blocks: Blocks) -> Unpacked:
    high = blocks[:, 66:74, None] >> np.array([0, 2, 4, 6], np.uint8) & 3
    runs = blocks[:, 2:34].astype(np.uint16) | high.reshape(len(blocks), -1).astype(np.uint16) << 8
    codes = _coded("IQ2_S", runs, _signs(blocks[:, 34:66]), len(TWO))
    return Unpacked(codes, _scaled(blocks, _nibbles(blocks[:, 74:82]), 0.25))


def _three_xxs(blocks: Blocks) -> Unpacked:
    words = _whole(blocks, 66, 98, "<u4")
    seven = (words[:, :, None] >> np.array([0, 7, 14, 21], np.uint32) & 127).reshape(len(blocks), -1)
    runs = blocks[:, 2:66].astype(np.uint16)
    codes = _coded("IQ3_XXS", runs, _even_signs(seven.astype(np.uint16)), len(THREE))
    return Unpacked(codes, _scaled(blocks, words >> 28, 0.5))


def _three_s(blocks: Blocks) -> Unpacked:
    runs = blocks[:, 2:66].astype(np.uint16) | _signs(blocks[:, 66:74]).astype(np.uint16) << 8
    codes = _coded("IQ3_S", runs, _signs(blocks[:, 74:106]), len(THREE))
    steps = 1 + 2 * _nibbles(blocks[:, 106:110]).astype(np.float32)
    return Unpacked(codes, half_of(blocks, 0) * steps)


def _one_s(blocks: Blocks) -> Unpacked:
    words = _whole(blocks, 34, 50, "<u2")
    high = (words[:, :, None] >> np.array([0, 3, 6, 9], np.uint16) & 7).reshape(len(blocks), -1)
    below = np.repeat((words >> 15).astype(np.uint8), 32, axis=1)
    codes = _coded("IQ1_S", blocks[:, 2:34].astype(np.uint16) | high << 8, below, 3)
    return Unpacked(codes, half_of(blocks, 0) * (2 * (words >> 12 & 7) + 1).astype(np.float32))


def _one_m(blocks: Blocks) -> Unpacked:
    words = _whole(blocks, 48, 56, "<u2")
    parts = words >> 12 << np.array([0, 4, 8, 12], np.uint16)
    half = np.bitwise_or.reduce(parts, axis=1, keepdims=True).view(np.float16).astype(np.float32)
    steps = (words[:, :, None] >> np.array([0, 3, 6, 9], np.uint16) & 7).reshape(len(blocks), -1)
    high = _nibbles(blocks[:, 32:48])
    runs = blocks[:, :32].astype(np.uint16) | (high & 7).astype(np.uint16) << 8
    codes = _coded("IQ1_S", runs, np.repeat(high >> 3, 8, axis=1), 3)
    return Unpacked(codes, half * (2 * steps + 1).astype(np.float32))


def _nv(blocks: Blocks) -> Unpacked:
    small = blocks[:, :4]
    power, part = (small >> 3 & 15).astype(np.float32), (small & 7).astype(np.float32)
    scale = np.where(power == 0, part * 2.0**-9, (1 + part / 8) * 2.0 ** (power - 7)) * 0.5
    scale = np.where((small == 0) | (small == 127), 0, scale).astype(np.float32)
    packed = blocks[:, 4:].reshape(-1, 4, 8)
    codes = np.concatenate([packed & 15, packed >> 4], axis=2).reshape(len(blocks), -1)
    return Unpacked(codes, scale)


def _bit(blocks: Blocks) -> Unpacked:
    return Unpacked(_signs(blocks[:, 2:]), half_of(blocks, 0))


I_QUANTS = {
    "IQ2_XXS": SubBlocks(256, 66, 32, 6, _two_xxs, _book(TWO)),
    "IQ2_XS": SubBlocks(256, 74, 16, 6, _two_xs, _book(TWO)),
    "IQ2_S": SubBlocks(256, 82, 16, 6, _two_s, _book(TWO)),
    "IQ3_XXS": SubBlocks(256, 98, 32, 16, _three_xxs, _book(THREE_SMALL)),
    "IQ3_S": SubBlocks(256, 110, 32, 16, _three_s, _book(THREE)),
    "IQ1_S": SubBlocks(256, 50, 32, 6, _one_s, ONE),
    "IQ1_M": SubBlocks(256, 56, 16, 6, _one_m, ONE),
    "NVFP4": SubBlocks(64, 36, 16, 16, _nv, FOUR_BIT_FLOATS),
    "Q1_0": SubBlocks(128, 18, 128, 2, _bit, (-1, 1)),
}
