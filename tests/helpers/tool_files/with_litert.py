"""Write LiteRT files by ai-edge-quantizer (Apache-2.0), whose own dequantization says what they mean.

The network in single precision, a convolution and two layers, is written with the classes of ai-edge-litert's schema.
"""

from importlib.metadata import version
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_quantizer import quantizer, recipe
from ai_edge_quantizer.qtyping import QuantGranularity
from ai_edge_quantizer.utils import tfl_interpreter_utils
from common import HERE, folder_of, normal, written

BIASES = {"conv": 8, "fc1": 32, "fc2": 10}
SHAPES = {"conv.weight": (8, 3, 3, 3), "fc1.weight": (32, 128), "fc2.weight": (10, 32)}
OPERATOR, OPTIONS = schema.BuiltinOperator, schema.BuiltinOptions
MINIMUM_VERSION = b"1.13.0"


def network() -> bytes:
    """Return the network: images [any, 8, 8, 3] to ten numbers each."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.description, model.buffers = 3, b"a network of a test", [schema.BufferT()]
    graph.tensors, graph.name = [], b"main"
    x = tensor(model, graph, "x", (1, 8, 8, 3), signature=(-1, 8, 8, 3))
    weights = {name: tensor(model, graph, name, normal(20, *shape)) for name, shape in SHAPES.items()}
    biases = [tensor(model, graph, f"{name}.bias", normal(21, size)) for name, size in BIASES.items()]
    flat_shape = tensor(model, graph, "shape", np.array([-1, 128], np.int32))
    image = tensor(model, graph, "image", (1, 4, 4, 8), signature=(-1, 4, 4, 8))
    flat, hidden, y = (
        tensor(model, graph, name, (1, size), signature=(-1, size))
        for name, size in (("flat", 128), ("hidden", 32), ("y", 10))
    )
    convolution = schema.Conv2DOptionsT(0, 2, 2, schema.ActivationFunctionType.RELU)
    layer = schema.FullyConnectedOptionsT(schema.ActivationFunctionType.RELU)
    first, second, last = weights.values()
    graph.operators = [
        operator(0, (x, first, biases[0]), image, OPTIONS.Conv2DOptions, convolution),
        operator(1, (image, flat_shape), flat, OPTIONS.ReshapeOptions, schema.ReshapeOptionsT([-1, 128])),
        operator(2, (flat, second, biases[1]), hidden, OPTIONS.FullyConnectedOptions, layer),
        operator(2, (hidden, last, biases[2]), y, OPTIONS.FullyConnectedOptions, schema.FullyConnectedOptionsT()),
    ]
    kinds = (OPERATOR.CONV_2D, OPERATOR.RESHAPE, OPERATOR.FULLY_CONNECTED)
    model.operatorCodes = [schema.OperatorCodeT(kind, builtinCode=kind) for kind in kinds]
    graph.inputs, graph.outputs, model.subgraphs = [x], [y], [graph]
    signed = schema.SignatureDefT([schema.TensorMapT(b"x", x)], [schema.TensorMapT(b"y", y)], b"serving_default", 0)
    model.signatureDefs = [signed]
    model.metadata = [schema.MetadataT(b"min_runtime_version", len(model.buffers))]
    model.buffers.append(schema.BufferT(np.frombuffer(MINIMUM_VERSION, np.uint8)))
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def tensor(model, graph, name: str, value, signature: tuple[int, ...] | None = None) -> int:
    """Add a tensor to a graph, of an array or of a shape; return its number."""
    own = schema.TensorT()
    is_array = isinstance(value, np.ndarray)
    own.name, own.shape = name.encode(), list(value.shape if is_array else value)
    own.type = schema.TensorType.INT32 if is_array and value.dtype == np.int32 else schema.TensorType.FLOAT32
    if is_array:
        own.buffer = len(model.buffers)
        model.buffers.append(schema.BufferT(np.frombuffer(value.tobytes(), np.uint8)))
    own.shapeSignature = None if signature is None else list(signature)
    graph.tensors.append(own)
    return len(graph.tensors) - 1


def operator(code: int, inputs: tuple[int, ...], output: int, kind: int, options):
    """Return an operator of a graph."""
    return schema.OperatorT(code, list(inputs), [output], kind, options)


def quantized(content: bytes, name: str) -> bytes:
    """Return what a recipe of the tool makes of a network."""
    own = quantizer.Quantizer(bytearray(content), RECIPES[name]())
    images = {"serving_default": [{"x": normal(22 + number, 1, 8, 8, 3)} for number in range(4)]}
    return bytes(own.quantize(own.calibrate(images) if own.need_calibration else None).quantized_model)


def in_blocks():
    """Return the recipe of 4 bits in blocks of 32 of the first layer, and of 8 bits of the others."""
    own = recipe.recipe_manager.RecipeManager()
    own.add_dynamic_config(regex=".*", operation_name=recipe.TFLOperationName.ALL_SUPPORTED, num_bits=8)
    own.add_dynamic_config(
        regex=".*hidden.*",
        operation_name=recipe.TFLOperationName.FULLY_CONNECTED,
        num_bits=4,
        granularity=QuantGranularity.BLOCKWISE_32,
    )
    return own.get_quantization_recipe()


RECIPES = {
    "dynamic-8": recipe.dynamic_wi8_afp32,
    "dynamic-4": recipe.dynamic_wi4_afp32,
    "weights-4": recipe.weight_only_wi4_afp32,
    "static-8": recipe.static_wi8_ai8,
    "blocks-4": in_blocks,
}


def dequantized(path: Path) -> dict[str, np.ndarray]:
    """Return the weights by the tool's own dequantization; that of blocks by the scales that the interpreter made."""
    own = tfl_interpreter_utils.create_tfl_interpreter(str(path))
    details = {each["name"]: each for each in own.get_tensor_details()}
    back = dict[str, np.ndarray]()
    for name, shape in SHAPES.items():
        scales = details[name]["quantization_parameters"]["scales"]
        if len(scales) > shape[0]:
            codes = own.get_tensor(details[name]["index"]).reshape(len(scales), -1)
            back[name] = (codes * scales[:, None]).reshape(shape)
        else:
            back[name] = tfl_interpreter_utils.get_tensor_data(own, details[name])
    return {name.removesuffix(".weight"): np.moveaxis(each, -1, 1) for name, each in back.items()}


def main() -> None:
    """Write the network, and what each recipe makes of it; a convolution is turned as torch has it."""
    content = network()
    (HERE.parent / "plain.tflite").write_bytes(content)
    for name in RECIPES:
        folder = folder_of(f"litert-{name}")
        (folder / "model.tflite").write_bytes(quantized(content, name))
        tool = f"ai-edge-quantizer {version('ai-edge-quantizer')}, ai-edge-litert {version('ai-edge-litert')}"
        written(folder, tool, dequantized(folder / "model.tflite"))


if __name__ == "__main__":
    main()
