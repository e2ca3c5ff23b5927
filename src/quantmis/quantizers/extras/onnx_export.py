"""Models as ONNX graphs: one export serves every model of an architecture, and a session computes with it.

torch's exporter takes seconds; the graph that it makes depends on a model only through the initial tensors, which
carry the names of the model's state. Other models' tensors are put in their place, and the outputs are compared.
"""

import logging
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from quantmis.errors import require
from quantmis.quantizers.calibration import evaluating

INPUT = "input"
TOLERANCE = 1e-3
MOST_GRAPHS = 8
GRAPHS: dict[str, Any] = {}
"""The graphs of the latest architectures: what is made of one is compared with the model that it is for."""


class Session(nn.Module):
    """Compute with an ONNX graph in ONNX Runtime, on one thread, so that the same inputs give the same outputs."""

    def __init__(self, graph: bytes):
        super().__init__()
        self.graph = graph
        self._session: Any = None

    def start(self) -> Any:
        """Return the session, which is begun where it is first needed."""
        self._session = self._session or _session(self.graph)
        return self._session

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the first output of the graph; a graph for so many inputs is given as many at once.

        Raises `UserError` for a graph that returns no tensor of numbers.
        """
        [entry, *_] = self.start().get_inputs()
        batch = inputs.detach().cpu().contiguous()
        size = entry.shape[0] if entry.shape and isinstance(entry.shape[0], int) else len(batch)
        outputs = [self._computed(entry.name, chunk, size) for chunk in batch.split(max(1, size))]
        return torch.cat(outputs).to(inputs.device)

    def _computed(self, name: str, chunk: Tensor, size: int) -> Tensor:
        """Return the outputs of at most `size` inputs, filled up with the first where they are fewer."""
        filled = torch.cat([chunk, chunk[:1].expand(size - len(chunk), *chunk.shape[1:])])
        outputs = self.start().run(None, {name: filled.numpy()})[0]
        numbers = isinstance(outputs, np.ndarray) and outputs.dtype.kind in "iufb"
        require(numbers, f"the ONNX graph returns {getattr(outputs, 'dtype', type(outputs).__name__)}, and no numbers")
        return torch.from_numpy(outputs)[: len(chunk)]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None}  # a session is a handle of this process


def exported(models: Sequence[nn.Module], inputs: Sequence[Tensor]) -> list[Any]:
    """Return the graph of each of `models`, of one architecture, as an `onnx.ModelProto`."""
    key = _architecture(models[0], inputs[0])
    if key not in GRAPHS:
        graph = _export(models[0], inputs[0])
        for oldest in list(GRAPHS)[: 1 - MOST_GRAPHS]:
            del GRAPHS[oldest]
        GRAPHS[key] = graph
    return [_own(GRAPHS[key], model, each) for model, each in zip(models, inputs, strict=True)]


def _architecture(model: nn.Module, inputs: Tensor) -> str:
    kinds = [f"{type(each).__module__}.{type(each).__qualname__}" for each in model.modules()]
    state = [(name, value.dtype, tuple(value.shape)) for name, value in model.state_dict().items()]
    return repr((model, kinds, state, inputs.dtype, tuple(inputs.shape[1:])))


@contextmanager
def quietly() -> Generator[None]:
    """Keep ONNX tools from logging every node, and from setting up the logging of the whole program."""
    handlers, level = list(logging.root.handlers), logging.root.level
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)


def _export(model: nn.Module, inputs: Tensor) -> Any:
    batch = torch.export.Dim("batch")
    with evaluating(model), quietly():
        program = torch.onnx.export(
            model,
            (inputs[:2].clone(),),
            dynamo=True,
            external_data=False,
            optimize=False,  # which would rename what it folds
            verbose=False,
            input_names=[INPUT],
            dynamic_shapes=({0: batch},),
        )
    graph = program.model_proto  # pyright: ignore[reportOptionalMemberAccess]
    _check(graph, model, inputs)
    _turn(graph)
    return graph


def _own(graph: Any, model: nn.Module, inputs: Tensor) -> Any:
    """Return `graph` with the tensors of `model`; exported anew where that does not compute what `model` does."""
    from onnx import ModelProto, numpy_helper

    own = ModelProto()
    own.CopyFrom(graph)
    state = {name: value.detach().cpu().numpy() for name, value in model.state_dict().items()}
    for tensor in own.graph.initializer:
        base = tensor.name.removesuffix(TURNED)
        if base in state:
            value = state[base] if base == tensor.name else state[base].T
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), tensor.name))
    return own if _agrees(own, model, inputs) else _export(model, inputs)


TURNED = "_Transposed"  # ONNX Runtime's own suffix


def _turn(graph: Any) -> None:
    """Put transposed weights in the place of Transpose nodes: ONNX Runtime quantizes what it finds as a tensor."""
    from onnx import numpy_helper

    weights = {tensor.name: tensor for tensor in graph.graph.initializer if len(tensor.dims) == 2}
    for node in [each for each in graph.graph.node if each.op_type == "Transpose" and each.input[0] in weights]:
        name = f"{node.input[0]}{TURNED}"
        if name not in weights:
            value = np.ascontiguousarray(numpy_helper.to_array(weights[node.input[0]]).T)
            weights[name] = numpy_helper.from_array(value, name)
            graph.graph.initializer.append(weights[name])
        for other in graph.graph.node:
            other.input[:] = [name if each == node.output[0] else each for each in other.input]
        graph.graph.node.remove(node)


def _check(graph: Any, model: nn.Module, inputs: Tensor) -> None:
    if not _agrees(graph, model, inputs):
        raise ValueError("the exported graph does not compute what the model does")


def _agrees(graph: Any, model: nn.Module, inputs: Tensor) -> bool:
    with evaluating(model), torch.no_grad():
        expected = model(inputs.clone())
    outputs = Session(graph.SerializeToString())(inputs)
    scale = float(expected.abs().max())
    return outputs.shape == expected.shape and bool((outputs - expected).abs().max() <= TOLERANCE * scale + 1e-6)


def _session(graph: bytes) -> Any:
    """Return a session whose sums of products of 8 bits are exact on every processor.

    Without its option of precision ONNX Runtime clips them to 16 bits where a processor has AVX2 and no VNNI.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
