"""ONNX files (onnx/onnx, onnx.proto3): a graph of operators, and the tensors that it starts from.

Quantized weights come in three ways. A DequantizeLinear node reads them (QDQ); an integer operator reads them, with
scale and zero point under the names that ONNX Runtime gives them (`fc.weight_quantized`, `_scale`, `_zero_point`); or
a MatMulNBits node holds them in blocks. Weights that a matrix product reads as [inputs, outputs] are turned round, to
[outputs, inputs] as torch has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from quantmis.errors import UserError, require
from quantmis.quantizers.formats.protobuf import Field, message, varints, whole
from quantmis.quantizers.record import QuantizedLayer, transposed

GRAPH, NODES, TENSORS = 7, 1, 5
DTYPES = {1: "<f4", 2: "<u1", 3: "<i1", 5: "<i2", 6: "<i4", 7: "<i8", 9: "<u1", 10: "<f2", 11: "<f8"}
PACKED = {21: (4, False), 22: (4, True), 25: (2, False), 26: (2, True)}
"""The types of less than a byte: their bits, and whether they have a sign. The first lies in the lowest bits."""
SMALL = {2: 256, 3: 256, 21: 16, 22: 16, 25: 4, 26: 4}
"""The types of codes, and the values that each can take."""
ROUNDING = ("DynamicQuantize", "QLinear", "QuantizeLinear", "QGemm", "QAttention")
"""What the operators that round activations are called, or begin with."""
FLOATS, INTS, LONGS, DOUBLES, RAW, ELSEWHERE = 4, 5, 7, 10, 9, 14

Layers = tuple[QuantizedLayer, ...]


@dataclass(frozen=True, eq=False)
class Node:
    """Hold an operator: what it reads and makes, by name, and its whole-number attributes."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    words: dict[str, int]

    def input(self, number: int) -> str:
        """Return the name of an input; optional ones that are not there have none."""
        return dict(enumerate(self.inputs)).get(number, "")


@dataclass(frozen=True, eq=False)
class Graph:
    """Hold the operators of a file and its tensors with the number of values that an entry can take (0: any)."""

    nodes: tuple[Node, ...]
    tensors: dict[str, Tensor]
    levels: dict[str, int]

    def readers(self, name: str) -> list[Node]:
        """Return the operators that read the tensor `name`, or its dequantized values."""
        direct = [node for node in self.nodes if name in node.inputs]
        return [
            reader
            for node in direct
            for reader in (self.readers(node.outputs[0]) if node.operator == "DequantizeLinear" else [node])
        ]


def fits(start: bytes) -> bool:
    """Say whether a file begins as an ONNX file does: with its version, then its producer, graph or imports.

    The header of a safetensors file can begin so too, and goes on with a brace.
    """
    return (
        start[:1] == b"\x08"
        and start[8:9] != b"{"
        and start[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x28", b"\x32", b"\x3a", b"\x42")
    )


def contents(path: Path) -> tuple[Layers, dict[str, Tensor], bool]:
    """Return the quantized layers and the other tensors of an ONNX file, and whether it rounds activations.

    Raises `UserError` where it is damaged.
    """
    return decode(path.read_bytes(), str(path))


def decode(data: bytes, name: str) -> tuple[Layers, dict[str, Tensor], bool]:
    """Return what `contents` does of the ONNX file `name` that holds `data`."""
    try:
        graph = _graph(memoryview(data))
        return *_contents(graph), any(node.operator.startswith(ROUNDING) for node in graph.nodes)
    except (IndexError, KeyError, RuntimeError, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"{name} is damaged, or uses what is not read here: {error!r}") from error


def _contents(graph: Graph) -> tuple[Layers, dict[str, Tensor]]:
    layers: dict[str, QuantizedLayer] = {}
    used: set[str] = set()
    others: dict[str, Tensor] = {}
    for node in graph.nodes:
        if node.operator == "MatMulNBits":
            layers.setdefault(node.input(1), _blocks(node, graph))
            used.update(node.inputs[1:])
    for name, scale, zero, axis, block in _dequantized(graph):
        used.update((name, scale, zero))
        if name in layers:
            continue
        if graph.tensors[name].ndim > 1 and graph.levels[name]:
            layers[name] = _layer(graph, name, (scale, zero), axis, block)
        else:
            others[plain(name)] = _values(graph, name, scale, zero)
    floats = {name: value for name, value in graph.tensors.items() if value.is_floating_point() and name not in used}
    return tuple(layers.values()), {**floats, **others}


def plain(name: str) -> str:
    """Return what a tensor was called before it was quantized.

    >>> plain("fc.weight_Transposed_quantized"), plain("fc.weight_Q4")
    ('fc.weight', 'fc.weight')
    """
    for suffix in ("_quantized", "_Q2", "_Q4", "_Q8", "_Transposed"):
        name = name.removesuffix(suffix)
    return name


def _dequantized(graph: Graph) -> list[tuple[str, str, str, int | None, int]]:
    """Return the names of codes, scale and zero point of quantized tensors, their axis and their block size."""
    found: list[tuple[str, str, str, int | None, int]] = []
    for node in graph.nodes:
        if node.operator == "DequantizeLinear" and all(name in graph.tensors for name in node.inputs):
            axis, block = node.words.get("axis", 1), node.words.get("block_size", 0)
            found.append((node.input(0), node.input(1), node.input(2), axis, block))
    for name in graph.tensors:
        parts = f"{name.removesuffix('_quantized')}_scale", f"{name.removesuffix('_quantized')}_zero_point"
        if name.endswith("_quantized") and parts[0] in graph.tensors and name not in [each[0] for each in found]:
            products = any("MatMul" in node.operator for node in graph.readers(name))
            found.append((name, *parts, graph.tensors[name].ndim - 1 if products else 0, 0))
    return found


def _layer(graph: Graph, name: str, parts: tuple[str, str], axis: int | None, block: int) -> QuantizedLayer:
    codes, scale, zero = graph.tensors[name], graph.tensors[parts[0]], graph.tensors.get(parts[1])
    require(not block or codes.ndim == 2, f"{name} has blocks in {codes.ndim} dimensions")
    along = None if scale.numel() == 1 else 1 - cast(int, axis) if block else axis
    scale = _matrix(scale.float(), codes, along, block)
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
    bits, block, rows, columns = (node.words[word] for word in ("bits", "block_size", "N", "K"))
    codes, scale = graph.tensors[node.input(1)], graph.tensors[node.input(2)].float().reshape(rows, -1)
    zeros = graph.tensors.get(node.input(3))
    middle = 2 ** (bits - 1)

    def signed(packed: Tensor, count: int) -> Tensor:
        return (_unpacked(packed.reshape(rows, -1), bits, count).int() - middle).to(torch.int8)

    return QuantizedLayer(
        name=_name(node.input(1)),
        codes=signed(codes, columns),
        scale=scale.contiguous(),
        levels=2**bits,
        group_size=min(block, columns),
        axis=0,
        zero_point=None if zeros is None else signed(zeros, scale.shape[1]),
    )


def _unpacked(words: Tensor, bits: int, columns: int) -> Tensor:
    shifts = torch.arange(0, 8, bits, dtype=torch.uint8)
    return ((words[:, :, None] >> shifts) & (2**bits - 1)).flatten(1)[:, :columns].contiguous()


def _graph(data: memoryview) -> Graph:
    graph = message(_bytes(message(data), GRAPH))
    nodes = tuple(_node(message(cast(memoryview, each))) for each in graph.get(NODES, []))
    tensors: dict[str, Tensor] = {}
    levels: dict[str, int] = {}
    for each in graph.get(TENSORS, []):
        fields = message(cast(memoryview, each))
        name = str(_bytes(fields, 8), "utf-8")
        kind = cast(int, fields[2][0])
        require(not fields.get(ELSEWHERE, [0])[0], f"{name} is in another file; save the model with its data inside")
        tensors[name], levels[name] = _tensor(fields, kind), SMALL.get(kind, 0)
    return Graph(nodes, tensors, levels)


def _node(fields: dict[int, list[Field]]) -> Node:
    attributes = [message(cast(memoryview, each)) for each in fields.get(5, [])]
    words = {str(_bytes(each, 1), "utf-8"): whole(cast(int, each[3][0])) for each in attributes if 3 in each}
    return Node(str(_bytes(fields, 4), "utf-8"), _texts(fields, 1), _texts(fields, 2), words)


def _texts(fields: dict[int, list[Field]], number: int) -> tuple[str, ...]:
    return tuple(str(cast(memoryview, each), "utf-8") for each in fields.get(number, []))


def _bytes(fields: dict[int, list[Field]], number: int) -> memoryview:
    return cast(memoryview, fields[number][0])


def _tensor(fields: dict[int, list[Field]], kind: int) -> Tensor:
    shape = _numbers(fields.get(1, []))
    if kind in PACKED:
        return _small(fields, *PACKED[kind]).reshape(-1)[: int(np.prod(shape))].reshape(shape)
    if kind == 16:  # bfloat16, the upper half of a float
        halves = np.frombuffer(_bytes(fields, RAW), "<u2").astype("<u4") << 16
        return torch.from_numpy(halves.view("<f4").reshape(shape).copy())
    array = _raw(fields, DTYPES[kind]).reshape(shape)
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))


def _raw(fields: dict[int, list[Field]], dtype: str) -> np.ndarray:
    if RAW in fields:
        return np.frombuffer(_bytes(fields, RAW), dtype)
    for number, kind in ((FLOATS, "<f4"), (DOUBLES, "<f8")):
        if number in fields:
            return np.frombuffer(b"".join(cast(memoryview, each) for each in fields[number]), kind).astype(dtype)
    given = np.array(_numbers(fields.get(INTS, fields.get(LONGS, []))), np.int64)
    return given.astype("<u2").view("<f2") if dtype == "<f2" else given.astype(dtype)


def _small(fields: dict[int, list[Field]], bits: int, sign: bool) -> Tensor:
    codes = _unpacked(torch.from_numpy(_raw(fields, "<u1").copy())[None], bits, 10**12)[0]
    return torch.where(codes >= 2 ** (bits - 1), codes.int() - 2**bits, codes.int()).to(torch.int8) if sign else codes


def _numbers(fields: Sequence[Field]) -> list[int]:
    """Return the whole numbers of a repeated field, packed or not."""
    return [each for field in fields for each in ([whole(field)] if isinstance(field, int) else varints(field))]
