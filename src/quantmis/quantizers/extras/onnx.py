"""ONNX Runtime's quantizers: int8 with dynamic or calibrated activations, and blocks of 2, 4 or 8 bits.

The model is exported with the names of its own state, quantized by `onnxruntime.quantization`, and computes in an
ONNX Runtime session, so that the rounding of activations counts. BatchNorm stays as it is exported. The exporter
needs sample inputs, also where the method itself looks at no data.
"""

import tempfile
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from quantmis.errors import require
from quantmis.files import content_of
from quantmis.quantizers import layers as part
from quantmis.quantizers.base import QUANTIZERS, Change, Generators, require_word
from quantmis.quantizers.codebook import Per
from quantmis.quantizers.extras.adapter import Adapter, using_library
from quantmis.quantizers.extras.onnx_export import INPUT, Session, exported, quietly
from quantmis.quantizers.formats.onnx import decode
from quantmis.quantizers.record import QuantizedLayer, transposed

CHUNK = 64


class OnnxRuntime(Adapter):
    """Quantize the exported graph of a model. Concrete ones say which of ONNX Runtime's quantizers does it."""

    needs_calibration: ClassVar[bool] = True
    extra: ClassVar[str | None] = "onnx"
    library: ClassVar[str | None] = "onnxruntime"

    @abstractmethod
    def quantized(self, graph: Any, inputs: Tensor, path: str) -> None:
        """Quantize `graph`, an `onnx.ModelProto` that may be changed, and write it to `path`."""

    def apply(self, models: list[nn.Module], calibration: list[Tensor] | None, generators: Generators) -> list[Change]:
        """Export once, then quantize the graph of each model."""
        inputs = calibration or []
        narrow = {value.dtype for value in models[0].state_dict().values()} & {torch.bfloat16, torch.float16}
        require(
            not narrow,
            f"{self.name}: ONNX Runtime computes no {', '.join(map(str, narrow))} on a processor",
            hint="make the model one of single precision first: model.float()",
        )
        with using_library(self):
            graphs = exported(models, inputs)
            triples = zip(graphs, models, inputs, strict=True)
            return [self._change(graph, model, each) for graph, model, each in triples]

    def convert(self, model: nn.Module, inputs: Tensor | None) -> Change:
        """Export and quantize one model."""
        return self.apply([model], None if inputs is None else [inputs], None)[0]

    def _change(self, graph: Any, model: nn.Module, inputs: Tensor) -> Change:
        with tempfile.TemporaryDirectory() as folder, quietly():
            path = Path(folder) / "quantized.onnx"
            self.quantized(graph, inputs, str(path))
            data = content_of(path)
        layers, others, _ = decode(data, self.name)
        return Change(Session(data), _once(_linear(layers, others, model), model))


def _linear(
    layers: tuple[QuantizedLayer, ...], others: dict[str, Tensor], model: nn.Module
) -> tuple[QuantizedLayer, ...]:
    """Return the layers with those renamed whose weight an Embedding reads as it was: only the Linear layer has codes.

    A graph names both after the weight that they share.
    """
    own = {name: each for name, each in model.named_modules() if isinstance(each, nn.Linear | nn.Embedding)}
    heads = {id(each.weight): name for name, each in own.items() if isinstance(each, nn.Linear)}
    alone = {layer.name: own.get(layer.name) for layer in layers if part.weight_key(layer.name) in others}
    new = {name: heads.get(id(each.weight), name) for name, each in alone.items() if isinstance(each, nn.Embedding)}
    return tuple(replace(layer, name=new.get(layer.name, layer.name)) for layer in layers)


def _once(layers: tuple[QuantizedLayer, ...], model: nn.Module) -> tuple[QuantizedLayer, ...]:
    """Return the layers with a weight that several share once, under the name of the first: a graph holds copies.

    Layers of GPT-2's Conv1D are turned back: graphs and `decode` do not know of them.
    """
    first = {id(part.weight_of(each)): name for name, each in part.quantizable(model).items()}
    weights = {name: id(each.weight) for name, each in model.named_modules() if isinstance(each, part.KINDS)}
    coded = {layer.name for layer in layers}
    there = {weight: name for weight, name in first.items() if name in coded}
    by_first = [replace(layer, name=there.get(weights.get(layer.name, 0), layer.name)) for layer in layers]
    turned = {name for name, each in model.named_modules() if part.is_transposed(each)}
    own = [transposed(layer) if layer.name in turned else layer for layer in by_first]
    return tuple({layer.name: layer for layer in reversed(own)}.values())[::-1]


@QUANTIZERS.add
@dataclass(frozen=True)
class OnnxDynamic(OnnxRuntime):
    """Round weights to int8 and, at each forward pass, activations too (`quantize_dynamic`).

    `per="channel"` gives each output of a matrix product a scale of its own; convolutions have one scale.

    >>> OnnxDynamic().extra
    'onnx'
    """

    per: Per = "tensor"
    name: ClassVar[str] = "onnx.dynamic"
    rounds_activations: ClassVar[bool] = True
    levels_per_weight: ClassVar[str] = "256"

    def __post_init__(self):
        require_word(self.name, "per", self.per, ("tensor", "channel"))

    def quantized(self, graph: Any, inputs: Tensor, path: str) -> None:
        """Write the graph with integer operators."""
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(graph, path, per_channel=self.per == "channel", weight_type=QuantType.QInt8)


@QUANTIZERS.add
@dataclass(frozen=True)
class OnnxStatic(OnnxRuntime):
    """Round weights to int8 or int4 and activations to uint8, in ranges seen on the calibration inputs (QDQ).

    `range` says how the range of activations is chosen.

    >>> OnnxStatic(bits=4).name
    'onnx.static'
    """

    bits: Literal[4, 8] = 8
    per: Per = "channel"
    range: Literal["minmax", "entropy", "percentile"] = "minmax"
    name: ClassVar[str] = "onnx.static"
    rounds_activations: ClassVar[bool] = True
    levels_per_weight: ClassVar[str] = "2^bits"

    def __post_init__(self):
        require(self.bits in (4, 8), f"{self.name}: bits must be 4 or 8, got {self.bits}")
        require_word(self.name, "per", self.per, ("tensor", "channel"))
        require_word(self.name, "range", self.range, ("minmax", "entropy", "percentile"))

    def quantized(self, graph: Any, inputs: Tensor, path: str) -> None:
        """Write the graph with QuantizeLinear and DequantizeLinear around its operators."""
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

        methods = {
            "minmax": CalibrationMethod.MinMax,
            "entropy": CalibrationMethod.Entropy,
            "percentile": CalibrationMethod.Percentile,
        }
        quantize_static(
            graph,
            path,
            _Reader(graph, inputs),  # pyright: ignore[reportArgumentType] any object with get_next serves
            quant_format=QuantFormat.QDQ,
            per_channel=self.per == "channel",
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8 if self.bits == 8 else QuantType.QInt4,
            calibrate_method=methods[self.range],
        )


@QUANTIZERS.add
@dataclass(frozen=True)
class OnnxMatMulNBits(OnnxRuntime):
    """Round the weights of Linear layers in blocks of `group_size` (MatMulNBits); activations stay as they are.

    >>> OnnxMatMulNBits(bits=4, group_size=32).library
    'onnxruntime'
    """

    bits: Literal[2, 4, 8] = 4
    group_size: int = 32
    symmetric: bool = False
    name: ClassVar[str] = "onnx.matmul_nbits"
    levels_per_weight: ClassVar[str] = "2^bits"

    def __post_init__(self):
        require(self.bits in (2, 4, 8), f"{self.name}: bits must be 2, 4 or 8, got {self.bits}")
        size = self.group_size
        require(
            size >= 16 and size & (size - 1) == 0,
            f"{self.name}: group_size must be 16 or a larger power of 2, got {size}",
        )

    def quantized(self, graph: Any, inputs: Tensor, path: str) -> None:
        """Write the graph with MatMulNBits in the place of matrix products with weights."""
        import onnx
        from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer
        from onnxruntime.quantization.onnx_model import ONNXModel

        products = ONNXModel(graph)
        products.replace_gemm_with_matmul()  # or the layers would be skipped without a word
        config = DefaultWeightOnlyQuantConfig(self.group_size, is_symmetric=self.symmetric, bits=self.bits)
        quantizer = MatMulNBitsQuantizer(products.model, algo_config=config)
        quantizer.process()
        result: Any = quantizer.model  # an ONNXModel, whatever the library declares
        onnx.save(result.model, path)


class _Reader:
    """Hand the calibration inputs to ONNX Runtime, as many at once as the graph takes."""

    def __init__(self, graph: Any, inputs: Tensor):
        fixed = graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value
        chunks = inputs.split(fixed or CHUNK)
        self._chunks: Iterator[Tensor] = (chunk for chunk in chunks if not fixed or len(chunk) == fixed)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next chunk, or None."""
        chunk = next(self._chunks, None)
        return None if chunk is None else {INPUT: chunk.detach().cpu().contiguous().numpy()}
