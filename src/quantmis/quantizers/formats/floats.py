"""Weights that are small floating-point numbers: FP8 (OCP 8-bit floating point), FP4 in blocks (OCP MX, NVFP4).

A code is the bits of a number; what each stands for is a codebook that belongs to the format. MXFP4 has a power of two
for each 32 weights, kept as its exponent plus 127. NVFP4 has a number of FP8 for each 16 weights, divided by one of 32
bits for the whole tensor.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.quantizers.record import QuantizedLayer

EIGHT_BITS = (torch.float8_e4m3fn, torch.float8_e5m2)
E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
FOUR_BITS = torch.tensor([*E2M1, *(-value for value in E2M1)])
"""What the sixteen codes of FP4 stand for; the fourth bit is the sign."""

BIAS = 127
"""Of the exponents that MX keeps as scales."""


def eight_bits(
    name: str, weight: Tensor, scale: Tensor, zero: Tensor | None, block: Sequence[int] | None
) -> QuantizedLayer:
    """Return the record of a matrix of FP8 with a scale for all, for each output, for groups, or for blocks of it.

    `block` is the shape of a block, where there are such. Raises `UserError` for scales that fit none of these.
    """
    rows, columns = weight.shape
    require(zero is None or not bool(zero.float().any()), f"{name} has zero points beside FP8, which are not read")
    single = scale.numel() == 1
    scales = scale.float().reshape(1, 1) if single else _scales(name, scale.float(), (rows, columns), block)
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
    return scale.repeat_interleave(block[0], dim=0)[: shape[0]].contiguous()


def four_bits(name: str, packed: Tensor, scale: Tensor, whole: Tensor | None) -> QuantizedLayer:
    """Return the record of FP4, two codes to a byte, the first in the low bits: MXFP4, or NVFP4 with its `whole` scale.

    Raises `UserError` where scales are not those of either.
    """
    rows, columns = packed.shape[0], 2 * packed.shape[1]
    size = 32 if whole is None else 16
    kind = torch.uint8 if whole is None else torch.float8_e4m3fn
    exponents = scale.view(torch.uint8) if scale.dtype == getattr(torch, "float8_e8m0fnu", None) else scale
    require(
        exponents.dtype == kind and scale.shape == (rows, -(-columns // size)),
        f"{name}: scales {list(scale.shape)} of {scale.dtype} are neither those of MXFP4 nor of NVFP4",
    )
    require(whole is None or whole.numel() == 1, f"{name} has {0 if whole is None else whole.numel()} scales for all")
    own = torch.exp2(exponents.float() - BIAS) if whole is None else scale.float() / whole.float().reshape(())
    return QuantizedLayer(
        name=name,
        codes=torch.stack([packed & 15, packed >> 4], dim=2).flatten(1).contiguous(),
        scale=own.contiguous(),
        levels=16,
        group_size=size,
        axis=0,
        codebook=FOUR_BITS.clone(),
        standard=True,
        scale_bits=8.0 * (scale.nbytes + (0 if whole is None else whole.nbytes)),
    )
