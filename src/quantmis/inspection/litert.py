"""What a LiteRT file holds: its layers of small integers, and whether an audit computes it."""

from dataclasses import replace
from math import prod
from pathlib import Path
from typing import NamedTuple

from quantmis.inspection.found import Inspection, Layer, Plain
from quantmis.inspection.kinds import LITERT
from quantmis.inspection.litert_graph import CODES, NO_TENSOR, Graph, Model, Quantization, Tensor, model_of
from quantmis.inspection.litert_operators import refusal, rounds_inputs

FLOATS = (0, 1, 10)
INTEGERS = (2, 4)
CONVERTED = ("MLIR Converted", "TOCO Converted")
EXACT = "LiteRT's interpreter computes it as it is, where it is installed: pip install 'quantmis[litert]'"


class Weight(NamedTuple):
    """Hold a tensor of codes, the graph that it is in, and which operator reads it."""

    tensor: Tensor
    graph: Graph
    reader: str


def weights_of(model: Model) -> dict[str, Weight]:
    """Return the tensors that are codes of weights by the names of their layers; graphs that share one have it once."""
    weights: dict[str, Weight] = {}
    keys: set[object] = set()
    for index, graph in enumerate(model.graphs):
        readers = graph.readers()
        for number, each in enumerate(graph.tensors):
            if each.is_weight and (key := _key(each)) not in keys:
                keys.add(key)
                name = "" if each.name == "weight" else each.name.removesuffix(".weight")
                own = f"{name}#{index}" if name in weights else name
                weights[own] = Weight(each, graph, readers.get(number, ""))
    return weights


def _key(tensor: Tensor) -> object:
    own = tensor.quantization
    numbers = () if own is None else (own.scale.tobytes(), own.zero.tobytes(), own.axis, own.block)
    return tensor.buffer, tensor.shape, tensor.kind, numbers


def others_of(model: Model) -> dict[str, Tensor]:
    """Return the constants that are numbers and no weight's codes: floats, and biases of integers with scales."""
    scales = {id(scale) for each in weights_of(model).values() if (scale := block_scales(each)) is not None}
    tensors = [each for graph in model.graphs for each in graph.tensors if each.data and id(each) not in scales]
    return {each.name: each for each in tensors if each.kind in FLOATS or _is_coded(each)}


def _is_coded(tensor: Tensor) -> bool:
    coded = tensor.is_coded or (tensor.kind in INTEGERS and tensor.quantization is not None)
    return coded and not tensor.is_weight


def block_scales(weight: Weight) -> Tensor | None:
    """Return the tensor of the scales of blocks, None where there is one for a row, or for all."""
    own = weight.tensor.quantization
    number = NO_TENSOR if own is None else own.block_scales
    return weight.graph.tensors[number] if 0 <= number < len(weight.graph.tensors) else None


def rounds(model: Model) -> bool:
    """Say whether operators round what they read: in a quantized graph, or at each step beside a weight's codes."""
    for graph in model.graphs:
        computed = [each for each in graph.tensors if not each.data and each.kind in CODES and each.quantization]
        coded = {number for number, each in enumerate(graph.tensors) if each.is_weight}
        if computed or any(rounds_inputs(each.name) and coded.intersection(each.inputs) for each in graph.operators):
            return True
    return False


def reason_not_computed(model: Model) -> str:
    """Return why an audit does not compute a file, an empty text where it does."""
    if len(model.graphs) != 1:
        return f"it holds {len(model.graphs)} graphs, and an audit computes one"
    [graph] = model.graphs
    if len(graph.inputs) != 1:
        names = ", ".join(graph.tensors[number].name for number in graph.inputs[:4])
        return f"its graph takes {names or 'nothing'}, and an audit computes graphs of one input"
    if not graph.outputs:
        return "its graph returns nothing"
    reasons = {each.name: refusal(each.name) for each in graph.operators}
    return next((f"its operator {name} {why}" for name, why in reasons.items() if why), "")


def file_of(path: Path) -> Inspection:
    """Return what a LiteRT file holds; `UserError` where it is damaged."""
    model = model_of(path)
    layers = tuple(_layer(name, each) for name, each in weights_of(model).items())
    plain = tuple(Plain(name, each.called, each.shape) for name, each in others_of(model).items())
    operators = sorted({each.name for graph in model.graphs for each in graph.operators})
    words = {
        "description": model.description,
        **model.words,
        "operators": ", ".join(operators),
        "graphs": str(len(model.graphs)),
    }
    found = Inspection(str(path), "LiteRT (TensorFlow Lite)", LITERT, _tool(model), (), "", layers, plain, words)
    why = reason_not_computed(model)
    if not layers:
        return replace(found, why="it is not quantized")
    return replace(found, is_read=True, is_exact=not why, why=f"weights are those of the file; {why}" if why else EXACT)


def _tool(model: Model) -> str:
    """Return which converter wrote a file, as far as it says so; what quantizes files leaves that as it is."""
    return "TensorFlow's converter" if model.description.startswith(CONVERTED) else ""


def _layer(name: str, weight: Weight) -> Layer:
    tensor, blocks = weight.tensor, block_scales(weight)
    kind, bits = CODES[tensor.kind]
    own = tensor.quantization
    assert own is not None  # noqa: S101 a weight has scales
    count = prod(tensor.shape)
    group = own.block or (count // len(own.scale) if len(own.scale) > 1 else None)
    said = f"FLOAT32 [{len(own.scale)}], {_spread(own)}" if blocks is None else f"{blocks.called} {list(blocks.shape)}"
    zeros = f"INT64 [{len(own.zero)}]" if own.zero.any() else ""
    return Layer(name, count, bits, group, said, zeros, f"{kind}, {weight.reader or 'read by nothing'}")


def _spread(quantization: Quantization) -> str:
    return f"one for each place of dimension {quantization.axis}" if len(quantization.scale) > 1 else "one for all"
