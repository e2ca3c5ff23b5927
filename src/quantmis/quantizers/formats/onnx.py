"""ONNX files (onnx/onnx, onnx.proto3), read by the library onnx: operators, and the tensors that they start from.

Quantized weights come in three ways. A DequantizeLinear node reads them (QDQ); an integer operator reads them, with
scale and zero point under the names that ONNX Runtime gives them (`fc.weight_quantized`, `_scale`, `_zero_point`); or
a MatMulNBits node holds them in blocks. Weights that a matrix product reads as [inputs, outputs] are turned round, to
[outputs, inputs] as torch has them. What may be in a graph at all says `onnx_graph`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from quantmis.errors import UserError, require
from quantmis.files import content_of
from quantmis.quantizers.formats.onnx_graph import Graph, Node, graph_of
from quantmis.quantizers.record import QuantizedLayer, transposed

ROUNDING = ("DynamicQuantize", "QLinear", "QuantizeLinear", "QGemm", "QAttention")
"""What the operators that round activations are called, or begin with."""

WIDTHS = (2, 4, 8)
INT8_PRODUCTS = 4
"""The accuracy level of MatMulNBits at which it rounds activations to int8."""

Layers = tuple[QuantizedLayer, ...]


def contents(path: Path) -> tuple[Layers, dict[str, Tensor], bool]:
    """Return the quantized layers and the other tensors of an ONNX file, and whether it rounds activations.

    Raises `UserError` where it is damaged, or does what is not understood.
    """
    return decode(content_of(path), str(path), path)


def decode(data: bytes, name: str, path: Path | None = None) -> tuple[Layers, dict[str, Tensor], bool]:
    """Return what `contents` does of the ONNX file `name` that holds `data`; tensors may be in files beside `path`."""
    try:
        graph = graph_of(data, name, path)
        return *_contents(graph), any(_rounds(node) for node in graph.nodes)
    except (IndexError, KeyError, RuntimeError, TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"{name} is damaged, or uses what is not read here: {error!r}") from error


def _rounds(node: Node) -> bool:
    return node.operator.startswith(ROUNDING) or node.words.get("accuracy_level") == INT8_PRODUCTS


def _contents(graph: Graph) -> tuple[Layers, dict[str, Tensor]]:
    layers: dict[str, QuantizedLayer] = {}
    operands: set[str] = set()
    others: dict[str, Tensor] = {}
    for node in graph.nodes:
        if node.operator == "MatMulNBits":
            layers.setdefault(node.input(1), _blocks(node, graph))
            operands.update(node.inputs[1:4])
    for name, scale, zero, axis, block in _dequantized(graph):
        operands.update((name, scale, zero))
        if name in layers:
            continue
        if graph.tensors[name].ndim > 1 and graph.levels[name]:
            layers[name] = _layer(graph, name, (scale, zero), axis, block)
        else:
            others[plain(name)] = _values(graph, name, scale, zero)
    floats = {
        name: value for name, value in graph.tensors.items() if value.is_floating_point() and name not in operands
    }
    return tuple(layers.values()), {**floats, **others}


def plain(name: str) -> str:
    """Return what a tensor was called before it was quantized.

    >>> plain("fc.weight_Transposed_quantized"), plain("fc.weight_Q4")
    ('fc.weight', 'fc.weight')
    """
    for suffix in ("_quantized", "_Q2", "_Q4", "_Q8", "_Transposed"):
        name = name.removesuffix(suffix)
    return name


def _dequantized(graph: Graph) -> Iterator[tuple[str, str, str, int | None, int]]:
    """Yield the names of codes, scale and zero point of quantized tensors, their axis and their block size."""
    names: set[str] = set()
    for node in graph.nodes:
        if node.operator == "DequantizeLinear" and all(name in graph.tensors for name in node.inputs if name):
            names.add(node.input(0))
            axis, block = node.words.get("axis", 1), node.words.get("block_size", 0)
            yield node.input(0), node.input(1), node.input(2), axis, block
    for name in graph.tensors:
        parts = f"{name.removesuffix('_quantized')}_scale", f"{name.removesuffix('_quantized')}_zero_point"
        if name.endswith("_quantized") and parts[0] in graph.tensors and name not in names:
            products = any("MatMul" in node.operator for node in graph.readers(name))
            yield name, *parts, graph.tensors[name].ndim - 1 if products else 0, 0


def _layer(graph: Graph, name: str, parts: tuple[str, str], axis: int | None, block: int) -> QuantizedLayer:
    codes, scale, zero = graph.tensors[name], graph.tensors[parts[0]], graph.tensors.get(parts[1])
    require(codes.numel() and scale.numel(), f"{name} has no numbers")
    require(not block or codes.ndim == 2, f"{name} has blocks in {codes.ndim} dimensions")
    axis = None if axis is None else axis % codes.ndim
    along = None if scale.numel() == 1 else 1 - cast(int, axis) if block else axis
    scale = _matrix(scale.float(), codes, along, block)
    columns = codes.numel() // (1 if along is None else codes.shape[along])
    require(
        scale.shape[1] == (-(-columns // block) if block else 1),
        f"{name} is damaged: {list(scale.shape)} scales do not belong to {list(codes.shape)} weights",
    )
    layer = QuantizedLayer(
        name=_name(name),
        codes=codes,
        scale=scale,
        levels=graph.levels[name],
        group_size=block or codes.numel() // scale.numel(),
        axis=along,
        zero_point=None if zero is None or not bool(zero.any()) else _matrix(zero, codes, along, block),
    )
    return transposed(layer) if _is_turned(graph, name) else layer


def _matrix(value: Tensor, codes: Tensor, axis: int | None, block: int) -> Tensor:
    """Return scales or zero points as [rows, groups]; blocks along the first dimension come as [groups, rows]."""
    if block and axis == 1:
        return value.T.contiguous()
    return value.reshape(1 if axis is None else codes.shape[axis], -1).contiguous()


def _name(name: str) -> str:
    """Return the layer of a weight, or the weight itself where it is called differently."""
    return "" if plain(name) == "weight" else plain(name).removesuffix(".weight")


def _is_turned(graph: Graph, name: str) -> bool:
    """Say whether the weight is read as [inputs, outputs]."""
    reader = next(iter(graph.readers(name)), None)
    if reader is None or graph.tensors[name].ndim != 2:
        return False
    return "MatMul" in reader.operator or (reader.operator == "Gemm" and not reader.words.get("transB", 0))


def _values(graph: Graph, name: str, scale: str, zero: str) -> Tensor:
    value, factor = graph.tensors[name].float(), graph.tensors[scale].float()
    return (value - graph.tensors.get(zero, torch.zeros(())).float()) * factor


def _blocks(node: Node, graph: Graph) -> QuantizedLayer:
    """Return the record of MatMulNBits: codes [outputs, blocks, bytes], scales and zero points by block."""
    name = node.input(1)
    bits, block, rows, columns = (node.words[word] for word in ("bits", "block_size", "N", "K"))
    sound = bits in WIDTHS and block >= 16 and block & (block - 1) == 0 and rows > 0 and columns > 0
    require(sound, f"{name}: MatMulNBits of {bits} bits in blocks of {block}, [{rows}, {columns}], is not read")
    require(not node.input(4), f"{name}: MatMulNBits with an index of groups is not read")
    codes, scale, zeros = graph.tensors[name], graph.tensors[node.input(2)].float(), graph.tensors.get(node.input(3))
    groups, middle = -(-columns // block), 2 ** (bits - 1)
    require(
        codes.numel() == rows * groups * block * bits // 8 and scale.numel() == rows * groups,
        f"{name} is damaged: {codes.numel()} bytes and {scale.numel()} scales for [{rows}, {columns}]",
    )
    require(
        zeros is None or (zeros.dtype == torch.uint8 and zeros.numel() == rows * -(-groups * bits // 8)),
        f"{name}: zero points that are no packed codes are not read",
    )

    def signed(packed: Tensor, count: int) -> Tensor:
        return (_unpacked(packed.reshape(rows, -1), bits, count).int() - middle).to(torch.int8)

    return QuantizedLayer(
        name=_name(name),
        codes=signed(codes, columns),
        scale=scale.reshape(rows, groups).contiguous(),
        levels=2**bits,
        group_size=min(block, columns),
        axis=0,
        zero_point=None if zeros is None else signed(zeros, groups),
    )


def _unpacked(words: Tensor, bits: int, columns: int) -> Tensor:
    shifts = torch.arange(0, 8, bits, dtype=torch.uint8)
    return ((words[:, :, None] >> shifts) & (2**bits - 1)).flatten(1)[:, :columns].contiguous()
