"""Checkpoints of ModelOpt (NVIDIA) for transformers: FP8, NVFP4, MXFP4, MXFP8 and int8.

`weight` holds numbers of FP8, integers of a byte, or two codes of FP4 to a byte; `weight_scale` goes with the tensor,
its outputs, blocks or runs of inputs. NVFP4 has another scale for the whole, `weight_scale_2`: a weight is a number of
FP4 times the FP8 scale of its run times that.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.inspection.modelopt import CACHE, PARTS
from quantmis.quantizers.formats.floats import EIGHT_BITS, FOUR_BITS, eight_bits, four_bits, in_blocks, nibbles
from quantmis.quantizers.formats.packing import Layers, parts_read
from quantmis.quantizers.record import QuantizedLayer

RUN = 16
"""Weights that share a scale in NVFP4."""


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[Layers, dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    turned = [name for name in tensors if name.endswith((".pre_quant_scale", ".svdquant_lora_a"))]
    require(not turned, f"{', '.join(turned[:3])}: inputs are multiplied before a layer, which is not repeated here")
    quantized_layers, rest = parts_read(tensors, PARTS, partial(_layer, words=words))
    return quantized_layers, {name: value for name, value in rest.items() if not name.endswith(CACHE)}


def _layer(name: str, tensors: dict[str, Tensor], words: dict[str, Any]) -> QuantizedLayer:
    scale, weight = tensors[f"{name}.weight_scale"], tensors[f"{name}.weight"]
    whole = tensors.get(f"{name}.weight_scale_2")
    require(weight.ndim == 2, f"{name} is a tensor of {weight.ndim} dimensions; read are matrices")
    if weight.dtype == torch.uint8:
        return four_bits(name, weight, scale, None) if whole is None else _two_levels(name, weight, scale, whole)
    require(whole is None, f"{name} holds {weight.dtype} with two levels of scales")
    if weight.dtype == torch.int8:
        fits = scale.shape in ((len(weight),), (len(weight), 1))
        require(fits, f"{name}: scales {list(scale.shape)} for {len(weight)} outputs")
        return QuantizedLayer(name, weight, scale.float().reshape(-1, 1), 256, weight.shape[1], axis=0)
    require(weight.dtype in EIGHT_BITS, f"{name} holds weights of {weight.dtype}; read are FP8, FP4 and int8")
    return eight_bits(name, weight, _flat(scale), None, _block(weight, _flat(scale)))


def _flat(scale: Tensor) -> Tensor:
    """Return scales of blocks as a matrix: files keep them as [blocks, 1, blocks, 1]."""
    return scale.reshape(scale.shape[0], scale.shape[2]) if scale.ndim == 4 else scale


def _block(weight: Tensor, scale: Tensor) -> list[int] | None:
    """Return the shape of the blocks that share a scale, None where the scales are those of outputs or runs."""
    if scale.ndim != 2 or scale.shape[0] == weight.shape[0]:
        return None
    return [-(-size // count) for size, count in zip(weight.shape, scale.shape, strict=True)]


def _two_levels(name: str, weight: Tensor, scale: Tensor, whole: Tensor) -> QuantizedLayer:
    fits = scale.dtype == torch.float8_e4m3fn and whole.numel() == 1
    fits &= tuple(scale.shape) == (len(weight), -(-2 * weight.shape[1] // RUN))
    require(fits, f"{name}: scales {list(scale.shape)} of {scale.dtype} are not those of NVFP4")
    own = scale.float() * whole.float().reshape(())
    return in_blocks(name, nibbles(weight), own, RUN, FOUR_BITS, scale.nbytes + whole.nbytes)
