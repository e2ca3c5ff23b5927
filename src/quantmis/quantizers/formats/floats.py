"""Weights that are small floating-point numbers: FP8 (OCP 8-bit floating point), FP4 and FP6 in blocks (OCP MX, NVFP4).

A code is the bits of a number; what each stands for is a codebook that belongs to the format. MXFP4 has a power of two
for each 32 weights, kept as its exponent plus 127. NVFP4 has a number of FP8 for each 16 weights, divided by one of 32
bits for the whole tensor.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.quantizers.formats.packing import unpacked
from quantmis.quantizers.record import QuantizedLayer

EIGHT_BITS = (torch.float8_e4m3fn, torch.float8_e5m2)
EXPONENT = getattr(torch, "float8_e8m0fnu", torch.uint8)
"""The type of exponents as scales: safetensors has one of its own, and most files keep bytes."""
E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
FOUR_BITS = torch.tensor([*E2M1, *(-value for value in E2M1)])
"""What the sixteen codes of FP4 stand for; the fourth bit is the sign."""

E2M3 = (*(step / 8 for step in range(8)), *((1 + step / 8) * 2**power for power in range(3) for step in range(8)))
SIX_BITS = torch.tensor([*E2M3, *(-value for value in E2M3)])
"""What the 64 codes of FP6 (E2M3) stand for; the sixth bit is the sign."""

BIAS = 127
"""Of the exponents that MX keeps as scales."""


def multipliers(scale: Tensor) -> Tensor:
    """Return scales in single precision, those that are exponents as powers of two."""
    is_power = scale.dtype in (EXPONENT, torch.uint8)
    return torch.exp2(scale.view(torch.uint8).float() - BIAS) if is_power else scale.float()


def eight_bits(
    name: str, weight: Tensor, scale: Tensor, zero: Tensor | None, block: Sequence[int] | None
) -> QuantizedLayer:
    """Return the record of a matrix of FP8 with a scale for all, for each output, for groups, or for blocks of it.

    `block` is the shape of a block, where there are such. Raises `UserError` for scales that fit none of these.
    """
    rows, columns = weight.shape
    require(zero is None or not bool(zero.float().any()), f"{name} has zero points beside FP8, which are not read")
    single = scale.numel() == 1
    scales = multipliers(scale)
    scales = scales.reshape(1, 1) if single else _scales(name, scales, (rows, columns), block)
    groups = scales.shape[1]
    require(columns % groups == 0 or block, f"{name}: {groups} groups do not divide {columns} inputs")
    return QuantizedLayer(
        name=name,
        codes=weight.contiguous().view(torch.uint8),
        scale=scales,
        levels=256,
        group_size=weight.numel() if single else block[1] if block and groups > 1 else columns // groups,
        axis=None if single else 0,
        codebook=torch.arange(256, dtype=torch.uint8).view(weight.dtype).float(),
        standard=True,
        scale_bits=8.0 * scale.nbytes,
    )


def _scales(name: str, scale: Tensor, shape: tuple[int, int], block: Sequence[int] | None) -> Tensor:
    """Return scales as [rows, groups]."""
    if block is None:
        require(scale.shape[0] == shape[0] and scale.ndim <= 2, f"{name}: scales {list(scale.shape)} are not read")
        return scale.reshape(shape[0], -1).contiguous()
    blocks = tuple(-(-size // each) for size, each in zip(shape, block, strict=True))
    require(tuple(scale.shape) == blocks, f"{name}: scales {list(scale.shape)} are not those of blocks {list(block)}")
    return scale.repeat_interleave(min(block[0], shape[0]), dim=0)[: shape[0]].contiguous()


def four_bits(name: str, packed: Tensor, scale: Tensor, whole: Tensor | None) -> QuantizedLayer:
    """Return the record of FP4, two codes to a byte, the first in the low bits: MXFP4, or NVFP4 with its `whole` scale.

    Raises `UserError` where scales are not those of either.
    """
    rows, columns = packed.shape[0], 2 * packed.shape[1]
    size = 32 if whole is None else 16
    kind = torch.uint8 if whole is None else torch.float8_e4m3fn
    exponents = scale.view(torch.uint8) if scale.dtype == EXPONENT else scale
    require(
        packed.dtype == torch.uint8 and exponents.dtype == kind and scale.shape == (rows, -(-columns // size)),
        f"{name}: scales {list(scale.shape)} of {scale.dtype} are neither those of MXFP4 nor of NVFP4",
    )
    require(whole is None or whole.numel() == 1, f"{name} has {0 if whole is None else whole.numel()} scales for all")
    own = multipliers(exponents) if whole is None else scale.float() / whole.float().reshape(())
    return in_blocks(name, nibbles(packed), own, size, FOUR_BITS, scale.nbytes + (0 if whole is None else whole.nbytes))


def six_bits(name: str, packed: Tensor, scale: Tensor) -> QuantizedLayer:
    """Return the record of MXFP6, four codes to three bytes, the lowest bits first; `UserError` for other scales."""
    columns = packed.shape[1] * 8 // 6
    fits = scale.dtype in (EXPONENT, torch.uint8) and scale.shape == (len(packed), -(-columns // 32))
    require(fits, f"{name}: scales {list(scale.shape)} of {scale.dtype} are not those of MXFP6")
    return in_blocks(name, unpacked(packed, 6, columns), multipliers(scale), 32, SIX_BITS, scale.nbytes)


def nibbles(packed: Tensor) -> Tensor:
    """Return the codes of bytes that hold two each along the last dimension, the first in the low bits."""
    return torch.stack([packed & 15, packed >> 4], dim=-1).flatten(-2).contiguous()


def in_blocks(name: str, codes: Tensor, scale: Tensor, size: int, book: Tensor, kept: int) -> QuantizedLayer:
    """Return the record of numbers that share a scale in runs of `size`; scales are `kept` in so many bytes."""
    return QuantizedLayer(
        name=name,
        codes=codes,
        scale=scale.contiguous(),
        levels=len(book),
        group_size=size,
        axis=0,
        codebook=book.clone(),
        standard=True,
        scale_bits=8.0 * kept,
    )
