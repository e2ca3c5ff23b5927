"""What an ONNX file holds: its small integers, and the nodes that say how these are turned into weights."""

from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

from quantmis.errors import UserError
from quantmis.files import content_of
from quantmis.inspection.found import Inspection, Layer, Plain
from quantmis.inspection.genai import decoder_in, is_genai
from quantmis.tensor_files import onnx_data, onnx_model

SMALL = {
    2: ("U8", 8),
    3: ("I8", 8),
    21: ("U4", 4),
    22: ("I4", 4),
    17: ("F8_E4M3", 8),
    19: ("F8_E5M2", 8),
    23: ("F4", 4),
}
"""Types of numbers that codes are, by their numbers in ONNX, and their bits."""

PLAIN = {1: "F32", 10: "F16", 16: "BF16", 11: "F64", 6: "I32", 7: "I64"}
"""Types of other numbers."""

INT8_PRODUCTS = 4
"""The accuracy level of MatMulNBits at which it rounds activations to int8."""

CODED = (
    *("DequantizeLinear", "MatMulNBits", "GatherBlockQuantized", "QMoE", "MatMulInteger", "QLinearMatMul"),
    *("ConvInteger", "QLinearConv", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "QGemm"),
)
SCALED = ("DequantizeLinear", "MatMulNBits", "GatherBlockQuantized")
"""Operators that read scales and zero points after the codes."""

ROUNDED = ("DynamicQuantizeLinear", "QuantizeLinear", "DynamicQuantizeMatMul", "QLinearMatMul", "QLinearConv", "QGemm")


def graph_of(path: Path) -> Inspection:
    """Return what an ONNX file holds; `UserError` where it is damaged, or the package onnx is missing."""
    model = onnx_model(content_of(path), str(path))
    graph = model.graph
    users = {name: node for node in graph.node if node.op_type in CODED for name in node.input}
    layers = tuple(_layer(each, users[each.name]) for each in graph.initializer if _is_coded(each, users))
    names = {layer.name for layer in layers}
    read = {name for node in graph.node if node.op_type in SCALED for name in node.input[1:4]}
    rest = [each for each in graph.initializer if each.name not in names | read]
    plain = [Plain(each.name, _kind(each), tuple(each.dims)) for each in rest]
    operators = sorted({node.op_type for node in graph.node if node.op_type in (*CODED, *ROUNDED)})
    tool = f"{model.producer_name} {model.producer_version}".strip()
    words = {"operators": ", ".join(operators), "data beside it": _data(path)}
    given = [each.name for each in graph.input if each.name not in {one.name for one in graph.initializer}]
    found = Inspection(str(path), "ONNX", "onnx", tool, (), "", layers, tuple(plain), words)
    if any(node.op_type == "QMoE" for node in graph.node):
        return replace(found, why="the codes of QMoE are not read", nearest="gguf")
    if is_genai(path):
        nodes = [each for each in graph.node if each.op_type == "MatMulNBits"]
        return decoder_in(found, path, any(_level(each) == INT8_PRODUCTS for each in nodes))
    if len(given) > 1:
        why = (
            f"its graph takes {', '.join(given[:4])}; an audit computes graphs of one input, and reads layers of others"
        )
        return replace(found, is_read=bool(layers), why=why)
    why = "ONNX Runtime computes it as it is, where it is installed: pip install 'quantmis[onnx]'"
    return replace(found, is_read=bool(layers), is_exact=bool(layers), why=why if layers else "it is not quantized")


def _level(node: Any) -> int:
    return next((each.i for each in node.attribute if each.name == "accuracy_level"), 0)


def _data(path: Path) -> str:
    try:
        return ", ".join(each.name for each in onnx_data(path)) or "none"
    except UserError as error:
        return str(error)


def _is_coded(tensor: Any, users: dict[str, Any]) -> bool:
    node = users.get(tensor.name)
    if node is None or tensor.data_type not in SMALL or prod(tensor.dims) <= 1:
        return False
    codes = 1 if node.op_type in ("MatMulNBits", "MatMulInteger", "ConvInteger", "DynamicQuantizeMatMul") else 0
    return list(node.input).index(tensor.name) in (codes, 3 if node.op_type.startswith("QLinear") else codes)


def _kind(tensor: Any) -> str:
    return SMALL.get(tensor.data_type, (PLAIN.get(tensor.data_type, f"type {tensor.data_type}"), 0))[0]


def _layer(tensor: Any, node: Any) -> Layer:
    kind, bits = SMALL[tensor.data_type]
    said = {each.name: each.i for each in node.attribute}
    if node.op_type == "MatMulNBits":
        count, bits = said.get("N", 0) * said.get("K", 0), said.get("bits", 4)
        return Layer(tensor.name, count, bits, said.get("block_size"), node.input[2], _zero(node), node.op_type)
    scale = node.input[1] if node.op_type == "DequantizeLinear" else ""
    group = said.get("block_size") or None
    return Layer(tensor.name, prod(tensor.dims), bits, group, scale, _zero(node), f"{kind}, {node.op_type}")


def _zero(node: Any) -> str:
    place = 3 if node.op_type == "MatMulNBits" else 2
    return node.input[place] if len(node.input) > place and node.op_type in ("MatMulNBits", "DequantizeLinear") else ""
