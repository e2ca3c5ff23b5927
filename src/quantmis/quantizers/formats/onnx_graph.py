"""The graph of an ONNX file, as far as records of weights need it, and what may be in a graph at all.

A graph is data that ONNX Runtime computes: loops may never end, a chain of operators may double its tensor at each, and
data may lie in files elsewhere, in a graph within the graph too. All of these are refused before anything is computed.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from quantmis.errors import UserError, require
from quantmis.files import opened
from quantmis.tensor_files import beside, onnx_model

SMALL = {2: 256, 3: 256, 21: 16, 22: 16, 25: 4, 26: 4}
"""The types of codes (uint8, int8, and those of four and two bits), and the values that each can take."""

NUMBERS = {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 16, 21, 22, 25, 26}
"""The types of tensors that are read: whole and real numbers; no text, no complex numbers."""

OUTSIDE = 1
DOMAINS = ("", "ai.onnx", "com.microsoft")
ENDLESS = ("Loop", "Scan", "SequenceMap")
"""Operators that compute a graph again and again."""

UNREAD = ("QMoE",)
"""Operators whose codes no record has."""

MOST_NODES = 200_000
MOST_NUMBERS = 2**30
"""Numbers that a tensor of the graph may hold, whatever the size of the file; and a multiple of what the file holds."""
GROWTH = 64
TENSOR_ATTRIBUTES = ("value", "sparse_value")
MEANT: Mapping[str, Mapping[str, tuple[Any, ...] | None]] = {
    "DequantizeLinear": {"axis": None, "block_size": None, "output_dtype": (0, 1, 10, 16)},
    "MatMulNBits": {
        **dict.fromkeys(("K", "N", "bits", "block_size")),
        "accuracy_level": (0, 1, 2, 3, 4),
        "weight_prepacked": (0,),
    },
    "Gemm": {"alpha": (1.0,), "beta": (1.0,), "transA": (0,), "transB": (0, 1)},
}
"""The attributes that are understood of operators that read quantized weights, and what they may be."""


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
    reading: dict[str, list[Node]]

    def readers(self, name: str) -> list[Node]:
        """Return the operators that read the tensor `name`, or its dequantized values."""
        waiting, reached = [name], {name}
        readers: list[Node] = []
        while waiting:
            for node in self.reading.get(waiting.pop(), []):
                if node.operator != "DequantizeLinear":
                    readers.append(node)
                elif node.outputs[0] not in reached:
                    reached.add(node.outputs[0])
                    waiting.append(node.outputs[0])
        return readers


def graph_of(data: bytes, name: str, path: Path | None) -> Graph:
    """Return the graph of the ONNX file `name` that holds `data`, once all in it is understood.

    Tensors may be in files beside `path`. Raises `UserError` for what may not be in a graph.
    """
    model = onnx_model(data, name)
    require_harmless(model, name, path)
    nodes = tuple(_node(each) for each in model.graph.node)
    reading: dict[str, list[Node]] = {}
    for node in nodes:
        for read in dict.fromkeys(node.inputs):
            reading.setdefault(read, []).append(node)
    constants = [(node.output[0], each.t) for node in model.graph.node for each in _values(node)]
    entries = [*((each.name, each) for each in model.graph.initializer), *constants]
    tensors = {key: _tensor(key, value, path) for key, value in entries if value.data_type in NUMBERS}
    return Graph(nodes, tensors, {key: SMALL.get(value.data_type, 0) for key, value in entries}, reading)


def inlined(data: bytes, name: str, path: Path) -> bytes:
    """Return an ONNX file with the data that lies beside it inside of it, once all in it is understood."""
    from onnx import external_data_helper

    model = onnx_model(data, name)
    require_harmless(model, name, path)
    for tensor in model.graph.initializer:
        if tensor.data_location == OUTSIDE:
            tensor.raw_data = _outside(tensor, path)
            tensor.data_location = 0
            del tensor.external_data[:]
    assert not any(external_data_helper.uses_external_data(each) for each in model.graph.initializer)  # noqa: S101
    return data if model.ByteSize() == len(data) else _serialized(model, name)


def _serialized(model: Any, name: str) -> bytes:
    try:
        return model.SerializeToString()
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{name} and the data beside it are more than 2 GiB, which is not computed here") from error


def require_harmless(model: Any, name: str, path: Path | None) -> None:
    """Raise `UserError` for operators, attributes, names, data and sizes that are not understood or may not be."""
    count = 0
    for graph, depth in _graphs(model.graph):
        count += len(graph.node)
        require(count <= MOST_NODES, f"{name} has more than {MOST_NODES} operators")
        require(not graph.sparse_initializer, f"{name} holds sparse tensors, which are not read")
        for node in graph.node:
            _require_understood(node, name)
        outside = [each for each in _tensors(graph, depth) if each.data_location == OUTSIDE]
        require(not outside, f"{name}: a tensor inside of an operator is in another file", hint="save it inside")
    require(not model.functions, f"{name} defines operators of its own, which are not read")
    _require_once(model.graph, name)
    for tensor in model.graph.initializer:
        if tensor.data_location == OUTSIDE:
            require(path, f"{name}: {tensor.name!r} is in another file")
            beside(Path(str(path)), tensor)
        _require_sized(tensor, name)
    _require_bounded(model, name)


def _graphs(graph: Any) -> Iterator[tuple[Any, int]]:
    """Yield a graph and all graphs inside of its operators, and how deep each is."""
    waiting = [(graph, 0)]
    while waiting:
        one, depth = waiting.pop()
        yield one, depth
        for attribute in (each for node in one.node for each in node.attribute):
            waiting += [
                (inner, depth + 1) for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs)
            ]


def _tensors(graph: Any, depth: int) -> Iterator[Any]:
    """Yield the tensors in attributes of a graph's operators and, of an inner graph, those that it starts from."""
    yield from graph.initializer if depth else ()
    for attribute in (each for node in graph.node for each in node.attribute):
        yield from (attribute.t, *attribute.tensors)


def _require_understood(node: Any, name: str) -> None:
    require(node.domain in DOMAINS, f"{name}: the operator {node.op_type!r} of {node.domain!r} is not known")
    require(node.op_type not in ENDLESS, f"{name}: {node.op_type} may never end, and is not computed")
    require(
        node.op_type not in UNREAD,
        f"{name}: the codes of {node.op_type} are not read",
        hint="give the model's GGUF file, or its folder of transformers",
    )
    names = [each.name for each in node.attribute]
    require(len(set(names)) == len(names), f"{name}: an attribute of {node.op_type} comes twice")
    meant = MEANT.get(node.op_type)
    for each in node.attribute if meant is not None else ():
        value = each.f if each.type == 1 else each.i
        understood = (
            meant is not None and each.name in meant and (meant[each.name] is None or value in (meant[each.name] or ()))
        )
        require(understood, f"{name}: {each.name} = {value} of {node.op_type} is not understood")


def _require_once(graph: Any, name: str) -> None:
    """Raise `UserError` where a tensor is given, or made, twice."""
    outputs = itertools.chain.from_iterable(node.output for node in graph.node)
    names = [*(each.name for each in graph.initializer), *(each for each in outputs if each)]
    require(len(set(names)) == len(names), f"{name}: two tensors have one name")


def _require_sized(tensor: Any, name: str) -> None:
    """Raise `UserError` for a shape that the bytes of a tensor cannot fill."""
    sizes = list(tensor.dims)
    require(all(0 <= each < 2**40 for each in sizes), f"{name}: {tensor.name!r} has shape {sizes}")
    inside = tensor.data_location != OUTSIDE
    require(
        not inside or prod(sizes) <= 8 * max(tensor.ByteSize(), 1),
        f"{name}: {tensor.name!r} of shape {sizes} is held in {tensor.ByteSize()} bytes",
    )


def _require_bounded(model: Any, name: str) -> None:
    """Raise `UserError` where the graph makes tensors beyond all proportion to the file, as far as shapes are known.

    The values of shapes are not followed (`data_prop`): a graph can make that work as long as it likes.
    """
    import onnx

    limit = max(MOST_NUMBERS, GROWTH * sum(prod(each.dims) for each in model.graph.initializer))
    small = onnx.ModelProto()
    small.CopyFrom(model)
    try:
        shaped = onnx.shape_inference.infer_shapes(small)
    except (RuntimeError, ValueError, onnx.shape_inference.InferenceError):
        return  # ONNX Runtime, which infers them again, says what is wrong
    for value in (*shaped.graph.value_info, *shaped.graph.output):
        sizes = [each.dim_value for each in value.type.tensor_type.shape.dim if each.HasField("dim_value")]
        require(prod(sizes) <= limit, f"{name} makes a tensor {value.name!r} of {prod(sizes)} numbers")


def _node(node: Any) -> Node:
    words = {each.name: each.i for each in node.attribute if each.type == 2}
    return Node(node.op_type, tuple(node.input), tuple(node.output), words)


def _values(node: Any) -> list[Any]:
    return [each for each in node.attribute if node.op_type == "Constant" and each.name == "value"]


def _outside(tensor: Any, path: Path | None) -> bytes:
    """Return the bytes of a tensor that lie in a file beside the model."""
    file = beside(Path(str(path)), tensor)
    words = {each.key: each.value for each in tensor.external_data}
    require(len(words) == len(tensor.external_data), f"{path}: {tensor.name!r} says twice where it is")
    length = file.stat().st_size
    start = int(words.get("offset", "0"))
    size = int(words.get("length", str(length - start)))
    require(start >= 0 and 0 <= size <= length - start, f"{path}: {tensor.name!r} ends beyond the end of {file.name}")
    with opened(file) as stream:
        stream.seek(start)
        return stream.read(size)


def _tensor(name: str, tensor: Any, path: Path | None) -> Tensor:
    from onnx import TensorProto, numpy_helper

    if tensor.data_location == OUTSIDE:
        inside = TensorProto(data_type=tensor.data_type, dims=tensor.dims, name=tensor.name)
        inside.raw_data = _outside(tensor, path)
        return _tensor(name, inside, None)
    array = np.asarray(numpy_helper.to_array(tensor))
    if tensor.data_type in SMALL:
        array = array.astype(np.uint8 if tensor.data_type in (2, 21, 25) else np.int8)
    elif tensor.data_type == 16:  # bfloat16, which NumPy has not
        array = array.astype(np.float32)
    require(array.dtype.kind in "iufb", f"{name} holds {array.dtype}")
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=True))
