"""Networks of OpenVINO whose weights NNCF compressed: a graph in XML, its numbers in a .bin beside it.

A weight is a constant of small integers that is converted, less a zero point where there is one, times a scale, and
reshaped: (code - zero point) * scale, one of each for a row or for a run of its columns. The constant has the name of
the weight in the model that was converted. A constant that is added to the product with a weight is the layer's bias.
"""

from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from quantmis.errors import UserError, require
from quantmis.files import content_of
from quantmis.inspection.openvino import CODES, Node, nodes_of, shape_of
from quantmis.quantizers.formats.floats import nibbles
from quantmis.quantizers.formats.packing import Layers
from quantmis.quantizers.record import QuantizedLayer
from quantmis.tensor_files import SAVE_AGAIN, openvino_data

FLOATS = {"f16": np.dtype("<f2"), "f32": np.dtype("<f4"), "f64": np.dtype("<f8")}
PASSED = ("Convert", "Reshape")
"""Nodes between the numbers of a weight and its use that change no value."""


def contents(path: Path) -> tuple[Layers, dict[str, Tensor]]:
    """Return the compressed weights and the other named constants; `UserError` where the file is damaged."""
    try:
        nodes = nodes_of(path)
        data = memoryview(content_of(openvino_data(path)))
        return _read(nodes, data)
    except UserError as error:
        raise UserError(f"{path}: {error}", hint=error.hint) from error
    except (KeyError, ValueError, IndexError, RuntimeError, RecursionError, OverflowError) as error:
        raise UserError(f"{path} is damaged: {error}", hint=SAVE_AGAIN) from error


def _read(nodes: Mapping[str, Node], data: memoryview) -> tuple[Layers, dict[str, Tensor]]:
    users: dict[str, list[str]] = {}
    for number, node in nodes.items():
        for source in node.inputs:
            users.setdefault(source, []).append(number)
    layers: list[QuantizedLayer] = []
    others: dict[str, Tensor] = {}
    for number, node in nodes.items():
        if node.kind == "Multiply" and (layer := _layer(node, nodes, data)):
            layers.append(layer)
            others |= _bias(layer.name, number, nodes, users, data)
        elif node.kind == "Const" and node.words.get("element_type") in FLOATS:
            others[node.name] = _floats(node, data)
    return tuple(layers), others


def _source(number: str, nodes: Mapping[str, Node]) -> Node:
    """Return the node that a number comes from, conversions and changes of shape passed over."""
    node = nodes[number]
    for _ in range(len(nodes)):
        if node.kind not in PASSED:
            return node
        node = nodes[node.inputs[0]]
    raise ValueError("its nodes go round in a circle")


def _layer(node: Node, nodes: Mapping[str, Node], data: memoryview) -> QuantizedLayer | None:
    """Return the weight that a product is, None where it is none of small integers."""
    shifted, scale = (_source(number, nodes) for number in node.inputs)
    zero = None
    if shifted.kind == "Subtract":
        shifted, zero = (_source(number, nodes) for number in shifted.inputs)
    if shifted.kind != "Const" or scale.kind != "Const" or shifted.words.get("element_type") not in CODES:
        return None
    return _record(shifted, _floats(scale, data), zero, data)


def _record(node: Node, scale: Tensor, zero: Node | None, data: memoryview) -> QuantizedLayer:
    codes, name = _codes(node, data), node.name.removesuffix(".weight")
    rows, count = len(codes), scale.numel()
    fits = codes.ndim in (2, 3) and scale.shape == (*codes.shape[:-1], 1)
    require(fits or count == 1, f"{name}: scales {list(scale.shape)} for codes {list(codes.shape)} are not read")
    points = None if zero is None else _points(zero, data)
    require(points is None or points.numel() in (1, count), f"{name}: zero points do not go with its {count} scales")
    spread = None if points is None else points.reshape(-1).expand(count) if points.numel() == 1 else points
    axis = None if count == 1 else 0
    shape = (1 if axis is None else rows, -1)
    return QuantizedLayer(
        name=name,
        codes=codes.reshape(rows, -1),
        scale=scale.reshape(shape).contiguous(),
        levels=2 ** CODES[node.words["element_type"]][0],
        group_size=codes.numel() if axis is None else codes.shape[-1],
        axis=axis,
        zero_point=None if spread is None else spread.reshape(shape).contiguous(),
    )


def _points(zero: Node, data: memoryview) -> Tensor:
    return _codes(zero, data) if zero.words["element_type"] in CODES else _floats(zero, data)


def _codes(node: Node, data: memoryview) -> Tensor:
    """Return the integers of a constant; of four bits, the first of a byte stands in its low bits."""
    bits, is_signed = CODES[node.words["element_type"]]
    shape = shape_of(node)
    raw = torch.from_numpy(np.frombuffer(_bytes(node, data, -(-prod(shape) * bits // 8)), np.uint8).copy())
    if bits == 8:
        return (raw.view(torch.int8) if is_signed else raw).reshape(shape)
    codes = nibbles(raw)[: prod(shape)].reshape(shape)
    return ((codes ^ 8).to(torch.int8) - 8) if is_signed else codes


def _floats(node: Node, data: memoryview) -> Tensor:
    kind = FLOATS.get(node.words["element_type"])
    require(kind is not None, f"{node.name} is of type {node.words['element_type']}, which is not read")
    shape = shape_of(node)
    assert kind is not None  # noqa: S101 for the type checker
    content = _bytes(node, data, prod(shape) * kind.itemsize)
    return torch.from_numpy(np.frombuffer(content, kind).astype(np.float32)).reshape(shape)


def _bytes(node: Node, data: memoryview, size: int) -> memoryview:
    begin = int(node.words["offset"])
    there = begin >= 0 and begin + size <= len(data) and int(node.words["size"]) >= size
    require(there, f"{node.name} takes {size} bytes from {begin} on, and {len(data)} are there")
    return data[begin : begin + size]


def _bias(
    name: str, number: str, nodes: Mapping[str, Node], users: Mapping[str, list[str]], data: memoryview
) -> dict[str, Tensor]:
    """Return what is added to the product with a weight, by the name of a bias; nothing where there is none."""
    for _ in range(len(nodes)):
        following = users.get(number, [])
        if len(following) != 1:
            return {}
        before, number = number, following[0]
        if nodes[number].kind == "Add":
            others = [_source(each, nodes) for each in nodes[number].inputs if each != before]
            plain = len(others) == 1 and others[0].kind == "Const" and others[0].words.get("element_type") in FLOATS
            return {f"{name}.bias": _floats(others[0], data).flatten()} if plain else {}
        if nodes[number].kind not in (*PASSED, "MatMul"):
            return {}
    return {}
