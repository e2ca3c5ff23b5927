"""Networks of OpenVINO: the graph in XML, and which of its constants are small integers."""

import xml.etree.ElementTree as Xml
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from quantmis.errors import UserError, require
from quantmis.files import content_of
from quantmis.inspection.found import Inspection, Layer, Plain
from quantmis.tensor_files import LARGEST_JSON, SAVE_AGAIN

PREFIX = "self."
"""What stands before the names of a model that was converted from PyTorch."""

CODES = {"u8": (8, False), "i8": (8, True), "u4": (4, False), "i4": (4, True)}
"""Types of codes, their bits, and whether they have a sign."""

NUMBERS = ("f16", "f32", "f64")
OF_LAYERS = ("/zero_point", "/scale")


@dataclass(frozen=True)
class Node:
    """Hold a node of the graph: its name, kind and words, and the numbers of the nodes that it takes, in order."""

    name: str
    kind: str
    words: Mapping[str, str]
    inputs: tuple[str, ...]


def nodes_of(path: Path) -> dict[str, Node]:
    """Return the nodes of a graph by their numbers; `UserError` where it is no XML, or declares types."""
    content = content_of(path, most=LARGEST_JSON)
    require(b"<!" not in content.replace(b"<!--", b""), "it declares types or entities, which are not read")
    try:
        root = Xml.fromstring(content)  # noqa: S314 without declarations there is nothing to expand or to fetch
    except Xml.ParseError as error:
        raise UserError(f"it is no XML: {error}", hint=SAVE_AGAIN) from error
    edges: dict[str, list[tuple[int, str]]] = {}
    for edge in root.iterfind("edges/edge"):
        own = edges.setdefault(edge.attrib["to-layer"], [])
        own.append((int(edge.attrib["to-port"]), edge.attrib["from-layer"]))
    return {each.attrib["id"]: _node(each, edges) for each in root.iterfind("layers/layer")}


def _node(layer: Xml.Element, edges: Mapping[str, list[tuple[int, str]]]) -> Node:
    words = layer.find("data")
    inputs = tuple(source for _, source in sorted(edges.get(layer.attrib["id"], [])))
    return Node(
        layer.attrib["name"].removeprefix(PREFIX), layer.attrib["type"], {} if words is None else words.attrib, inputs
    )


def shape_of(node: Node) -> tuple[int, ...]:
    """Return the shape of a constant; `UserError` for sizes that are none."""
    shape = tuple(int(size) for size in node.words["shape"].split(",") if size.strip())
    require(all(0 < size < 2**48 for size in shape), f"{node.name} has the shape {list(shape)}")
    return shape


def network_of(path: Path) -> Inspection:
    """Return what a network holds; `UserError` where it is damaged."""
    try:
        constants = [each for each in nodes_of(path).values() if each.kind == "Const"]
        shapes = {each.name: shape_of(each) for each in constants}
    except (KeyError, ValueError) as error:
        raise UserError(f"{path} is damaged: {error}", hint=SAVE_AGAIN) from error
    own = [each for each in constants if not each.name.endswith(OF_LAYERS)]
    coded = [each for each in own if each.words.get("element_type") in CODES]
    layers = tuple(_layer(each, shapes) for each in coded)
    kinds = {each.name: each.words.get("element_type", "") for each in own}
    plain = tuple(Plain(name, kind, shapes[name]) for name, kind in kinds.items() if kind in NUMBERS)
    why = "weights are those of the file; OpenVINO may round inputs of layers where it runs, which is not repeated"
    found = Inspection(str(path), "a network of OpenVINO", "openvino", "OpenVINO", (), "", layers, plain)
    return replace(found, is_read=bool(layers), why=why if layers else "it is not quantized")


def _layer(node: Node, shapes: Mapping[str, tuple[int, ...]]) -> Layer:
    scale, zero = (shapes.get(f"{node.name}{end}") for end in ("/scale", "/zero_point"))
    count, kind = prod(shapes[node.name]), node.words["element_type"]
    group = count // prod(scale) if scale and prod(scale) > 1 else None
    told = ("" if each is None else str(list(each)) for each in (scale, zero))
    scales, zeros = told
    return Layer(node.name.removesuffix(".weight"), count, CODES[kind][0], group, scales, zeros, kind)
