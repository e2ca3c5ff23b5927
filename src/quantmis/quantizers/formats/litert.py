"""LiteRT files (.tflite, once TensorFlow Lite), read without its interpreter: codes and scales of weights, and biases.

A weight is (code - zero point) * scale, with one scale for all of it, for each place of one dimension, or for runs of
a row's columns. Codes of less than a byte follow one another, the first in the low bits, and rows begin anywhere.
Convolutions are turned from [outputs, height, width, inputs] to [outputs, inputs, height, width], as torch has them.
"""

from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from quantmis.errors import UserError, require
from quantmis.inspection.litert import FLOATS, Weight, block_scales, others_of, rounds, weights_of
from quantmis.inspection.litert_graph import CODES, PLAIN, Model, Quantization, model_of
from quantmis.inspection.litert_graph import Tensor as Constant
from quantmis.quantizers.formats.packing import Layers
from quantmis.quantizers.record import QuantizedLayer
from quantmis.tensor_files import SAVE_AGAIN

TURNED = {"CONV_2D": ((0, 3, 1, 2), 0), "DEPTHWISE_CONV_2D": ((3, 0, 1, 2), 3)}
"""How weights of operators are turned, and which of their dimensions counts the outputs."""

SIGNED = ("INT8", "INT4", "INT2")


def contents(path: Path) -> tuple[Layers, dict[str, Tensor], bool]:
    """Return the quantized weights and the other constants of a file, and whether it rounds activations.

    Raises `UserError` where it is damaged, or says what is not understood.
    """
    return decode(model_of(path), str(path))


def decode(model: Model, name: str) -> tuple[Layers, dict[str, Tensor], bool]:
    """Return what `contents` does of a model."""
    try:
        layers = tuple(_layer(own, each) for own, each in weights_of(model).items())
        others = {own: _values(each) for own, each in others_of(model).items()}
    except UserError as error:
        raise UserError(f"{name}: {error}", hint=error.hint) from error
    except (ValueError, RuntimeError, IndexError, OverflowError) as error:
        raise UserError(f"{name} is damaged: {error}", hint=SAVE_AGAIN) from error
    return layers, others, rounds(model)


def _layer(name: str, weight: Weight) -> QuantizedLayer:
    tensor, own, blocks = weight.tensor, weight.tensor.quantization, block_scales(weight)
    assert own is not None  # noqa: S101 a weight has scales
    codes = _codes(tensor)
    if blocks is not None or own.block:
        return _in_blocks(name, codes, own, blocks, tensor)
    axis = own.axis if len(own.scale) > 1 else None
    turned, outputs = TURNED.get(weight.reader, (None, axis))
    if turned is not None and codes.ndim == len(turned) and axis in (None, outputs):
        codes, axis = codes.permute(turned).contiguous(), None if axis is None else 0
    shape = (1 if axis is None else -1, 1)
    return QuantizedLayer(
        name=name,
        codes=codes,
        scale=_tensor(own.scale, np.float32).reshape(shape),
        levels=2 ** CODES[tensor.kind][1],
        group_size=codes.numel() // len(own.scale),
        axis=axis,
        zero_point=_tensor(own.zero, np.int32).reshape(shape) if own.zero.any() else None,
    )


def _in_blocks(
    name: str, codes: Tensor, own: Quantization, blocks: Constant | None, tensor: Constant
) -> QuantizedLayer:
    """Return the record of a matrix whose scales belong to runs of a row, and lie in a tensor of their own."""
    require(blocks is not None and codes.ndim == 2, f"{name}: blocks of {list(codes.shape)} weights are not read")
    assert blocks is not None  # noqa: S101 for the type checker
    rows, columns = codes.shape
    require(blocks.kind in FLOATS, f"{name}: scales of {blocks.called} are not read")
    scale = _values(blocks)
    fits = columns % own.block == 0 and scale.numel() == rows * (columns // own.block)
    require(fits, f"{name}: {scale.numel()} scales do not go with {rows} rows of {columns} in blocks of {own.block}")
    levels = 2 ** CODES[tensor.kind][1]
    bits = 8.0 * len(blocks.data)
    return QuantizedLayer(name, codes, scale.reshape(rows, -1), levels, own.block, 0, scale_bits=bits)


def _codes(tensor: Constant) -> Tensor:
    """Return the codes of a tensor, a byte each; those of fewer bits lie in a byte from the low bits on."""
    kind, bits = CODES[tensor.kind]
    count = prod(tensor.shape)
    fits = len(tensor.data) == -(-count * bits // 8)
    require(fits, f"{tensor.name}: {count} codes of {bits} bits in {len(tensor.data)} bytes")
    raw = torch.from_numpy(np.frombuffer(tensor.data, np.uint8).copy())
    signed = kind in SIGNED
    if bits == 8:
        return (raw.view(torch.int8) if signed else raw).reshape(tensor.shape)
    shifts = torch.arange(0, 8, bits, dtype=torch.uint8)
    codes = (raw[:, None] >> shifts & (2**bits - 1)).flatten()[:count].reshape(tensor.shape)
    half = 2 ** (bits - 1)
    return (codes ^ half).to(torch.int8) - half if signed else codes


def _values(tensor: Constant) -> Tensor:
    """Return the numbers of a constant in float32, multiplied out where they are integers with scales."""
    own = tensor.quantization
    raw = _codes(tensor).numpy() if tensor.kind in CODES else _numbers(tensor)
    if own is None or tensor.kind not in (*CODES, 2, 4):
        return _tensor(raw, np.float32)
    shape = [-1 if dimension == own.axis and len(own.scale) > 1 else 1 for dimension in range(len(tensor.shape))]
    zero = own.zero.reshape(shape) if own.zero.any() else 0
    return _tensor((raw.astype(np.float64) - zero) * own.scale.reshape(shape), np.float32)


def _numbers(tensor: Constant) -> np.ndarray:
    """Return the numbers of a constant of plain numbers."""
    values = np.frombuffer(tensor.data, PLAIN[tensor.kind][1])
    require(len(values) == prod(tensor.shape), f"{tensor.name}: {len(values)} numbers for {list(tensor.shape)}")
    return values.reshape(tensor.shape)


def _tensor(values: np.ndarray, kind: type) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values.astype(kind)))
