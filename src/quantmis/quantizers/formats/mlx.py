"""Checkpoints of MLX (Apple) in safetensors: integers with a scale and a smallest value a group, or FP4 and FP8.

`weight` packs the codes of a row into words of 32 bits, one after the other from the lowest bit up, whatever their
bits. affine: a weight is code * scale + bias, one of each for a run of `group_size` inputs. mxfp4, mxfp8 and nvfp4 keep
scales as bytes: exponents, or for nvfp4 numbers of FP8.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.inspection.mlx import BITS, PARTS, said_of
from quantmis.quantizers.formats.floats import FOUR_BITS, in_blocks, multipliers
from quantmis.quantizers.formats.packing import Layers, parts_read, unpacked
from quantmis.quantizers.record import QuantizedLayer

RUNS = {"mxfp4": (32, 4), "mxfp8": (32, 8), "nvfp4": (16, 4)}
"""How many weights share a scale, and their bits, in the modes of floating-point numbers."""


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[Layers, dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    return parts_read(tensors, PARTS, partial(_layer, words=words))


def _layer(name: str, tensors: dict[str, Tensor], words: dict[str, Any]) -> QuantizedLayer:
    scale, packed, said = tensors[f"{name}.scales"], tensors[f"{name}.weight"], said_of(name, words)
    bias, mode = tensors.get(f"{name}.biases"), said.get("mode", "affine")
    fits = packed.dtype == torch.uint32 and packed.ndim == scale.ndim == 2 and len(packed) == len(scale)
    require(fits, f"{name} is damaged: {list(packed.shape)} words of {packed.dtype}, {list(scale.shape)} scales")
    if mode == "affine":
        require(bias is not None and bias.shape == scale.shape, f"{name} has no smallest value for each of its scales")
        return _affine(name, packed, scale, bias, said)  # pyright: ignore[reportArgumentType]
    require(bias is None and scale.dtype == torch.uint8, f"{name} is no layer of {mode}: its scales are {scale.dtype}")
    return _floats(name, packed, scale, str(mode))


def _affine(name: str, packed: Tensor, scale: Tensor, bias: Tensor, said: Any) -> QuantizedLayer:
    bits, size = _sizes(name, packed.shape[1], scale.shape[1], said)
    return QuantizedLayer(
        name=name,
        codes=unpacked(packed, bits, packed.shape[1] * 32 // bits).contiguous(),
        scale=scale,
        levels=2**bits,
        group_size=size,
        axis=0,
        offset=bias,
    )


def _sizes(name: str, words: int, groups: int, said: Any) -> tuple[int, int]:
    """Return bits and the size of a group; one of both follows from the other, and none where neither is said."""
    bits, size = said.get("bits"), said.get("group_size")
    fitting = [each for each in BITS if bits in (None, each) and words * 32 == groups * each * (size or 0)]
    require(
        len(fitting) == 1,
        f"{name}: {words} words and {groups} scales a row are not codes of {bits} bits in groups of {size}",
        hint="the config.json of the model must lie beside its weights",
    )
    return fitting[0], int(size)


def _floats(name: str, packed: Tensor, scale: Tensor, mode: str) -> QuantizedLayer:
    size, bits = RUNS[mode]
    columns = packed.shape[1] * 32 // bits
    require(scale.shape[1] * size == columns, f"{name}: {scale.shape[1]} scales for {columns} inputs in {mode}")
    own = scale.view(torch.float8_e4m3fn).float() if mode == "nvfp4" else multipliers(scale)
    eight = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float()
    book = FOUR_BITS if bits == 4 else eight
    return in_blocks(name, unpacked(packed, bits, columns).contiguous(), own, size, book, scale.nbytes)
