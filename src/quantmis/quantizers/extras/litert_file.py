"""LiteRT files that somebody else quantized, computed by LiteRT's interpreter as they are: its rounding counts."""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from quantmis.errors import UserError, require
from quantmis.files import content_of
from quantmis.inspection.litert import reason_not_computed
from quantmis.inspection.litert_graph import LARGEST, Graph, Model, model_in
from quantmis.inspection.litert_operators import GROWING
from quantmis.quantizers.extras.adapter import require_library
from quantmis.quantizers.formats.litert import decode
from quantmis.quantizers.quantized import Change, Method, Quantized, record

LIBRARY, EXTRA = "ai_edge_litert", "litert"
MOST_SIZES = 16
"""Whole numbers in a constant that may say how large a tensor becomes."""

ANY_SIZE = -1


class Interpreted(nn.Module):
    """Compute with a LiteRT file in its interpreter, on one thread, so that the same inputs give the same outputs."""

    def __init__(self, content: bytes, name: str):
        super().__init__()
        self.content, self.name = content, name
        self._interpreter: Any = None

    def start(self) -> Any:
        """Return the interpreter, which is begun where it is first needed."""
        self._interpreter = self._interpreter or _interpreter(self.content, self.name)
        return self._interpreter

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the first output, of inputs that are rounded where the graph takes integers, multiplied out.

        A graph for so many inputs is given as many at once. Raises `UserError` for inputs that it does not take.
        """
        with _refusing(self.name):
            [entry] = self.start().get_input_details()
            batch = _entering(inputs.detach().cpu().numpy(), entry, self.name)
            sizes = entry["shape_signature"] if len(entry["shape_signature"]) else entry["shape"]
            fixed = int(sizes[0]) != ANY_SIZE
            size = int(sizes[0]) if fixed else len(batch)
            require(size > 0, f"{self.name} takes {size} samples at once")
            chunks = [self._computed(entry, batch[at : at + size], size, fixed) for at in range(0, len(batch), size)]
        return torch.from_numpy(np.concatenate(chunks)).to(inputs.device)

    def _computed(self, entry: dict[str, Any], chunk: np.ndarray, size: int, fixed: bool) -> np.ndarray:
        """Return the outputs of at most `size` inputs, filled up with the first where a graph takes exactly as many."""
        own = self.start()
        filled = np.concatenate([chunk, np.repeat(chunk[:1], size - len(chunk), axis=0)])
        if not fixed and own.get_input_details()[0]["shape"][0] != size:
            own.resize_tensor_input(entry["index"], filled.shape, strict=True)
            own.allocate_tensors()
        own.reset_all_variables()
        own.set_tensor(entry["index"], filled)
        own.invoke()
        leaving = own.get_output_details()[0]
        outputs = own.get_tensor(leaving["index"])
        require(outputs.dtype.kind in "iufb", f"{self.name} returns {outputs.dtype}, and no numbers")
        require(len(outputs) == size, f"{self.name} returns {len(outputs)} outputs for {size} inputs")
        return _leaving(outputs, leaving)[: len(chunk)]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_interpreter": None}  # an interpreter is a handle of this process


def litert_file(path: Path) -> Quantized:
    """Return the record of a file and the module that computes it; names are those of the file.

    Raises `UserError` where the file is damaged, holds no quantized weights, may not be computed, or the interpreter
    refuses it.
    """
    content = content_of(path)
    model = model_in(content, str(path))
    layers, others, rounds = decode(model, str(path))
    require(layers, f"{path} holds no quantized weights", hint="give the weights in full precision that it was made of")
    require_computable(model, str(path))
    module = Interpreted(content, str(path))
    with _refusing(str(path)):
        module.start()
    result = record(Method(str(path), rounds_activations=rounds), nn.Module(), Change(module, layers))
    matrices = tuple(name for name, value in others.items() if value.ndim > 1)
    return replace(result, untouched=matrices, fingerprint=hashlib.sha256(content).hexdigest())


def require_computable(model: Model, name: str) -> None:
    """Raise `UserError` for operators that are not known or may never end, and for tensors beyond all proportion."""
    reason = reason_not_computed(model)
    require(not reason, f"{name}: {reason}", hint="layers of the file can be read, quantmis inspect shows them")
    for graph in model.graphs:
        for each in graph.operators:
            for number in each.inputs if each.name in GROWING else ():
                size = _said(graph, number)
                require(size <= LARGEST, f"{name}: {each.name} makes a tensor of {size} numbers")


def _said(graph: Graph, number: int) -> int:
    """Return the product of a constant's few whole numbers, which may be the sizes of a tensor; 1 for all else."""
    tensor = graph.tensors[number]
    small = tensor.kind in (2, 4) and 0 < prod(tensor.shape) <= MOST_SIZES and tensor.data
    if number < 0 or not small:
        return 1
    sizes = np.frombuffer(tensor.data, "<i4" if tensor.kind == 2 else "<i8")
    return prod(max(1, abs(int(each))) for each in sizes)


def _interpreter(content: bytes, name: str) -> Any:
    require_library(name, LIBRARY, EXTRA)
    from ai_edge_litert.interpreter import Interpreter

    own = Interpreter(model_content=content, num_threads=1)
    own.allocate_tensors()
    return own


@contextmanager
def _refusing(name: str) -> Generator[None]:
    """Turn what the interpreter says against a file, or its inputs, into `UserError`."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{name}: LiteRT's interpreter refuses it: {reason}") from error


def _entering(inputs: np.ndarray, entry: dict[str, Any], name: str) -> np.ndarray:
    """Return inputs as a graph takes them: in its shape, and rounded where it takes integers with a scale."""
    taken = tuple(map(int, entry["shape"]))
    require(
        inputs.shape[1:] == taken[1:] or ANY_SIZE in entry["shape_signature"][1:],
        f"{name} takes samples of shape {list(taken[1:])}, and those of the task are {list(inputs.shape[1:])}",
        hint="images of TensorFlow have their channels last",
    )
    kind, (scale, zero) = np.dtype(entry["dtype"]), entry["quantization"]
    if kind.kind in "iu" and scale:
        limits = np.iinfo(kind)
        return np.clip(np.round(inputs / np.float32(scale)) + zero, limits.min, limits.max).astype(kind)
    require(
        kind.kind == inputs.dtype.kind or kind.kind == "f",
        f"{name} takes {kind}, and samples of the task are {inputs.dtype}",
    )
    cast = inputs.astype(kind)
    require(kind.kind == "f" or bool((cast == inputs).all()), f"{name} takes {kind}, and samples are beyond it")
    return cast


def _leaving(outputs: np.ndarray, leaving: dict[str, Any]) -> np.ndarray:
    """Return outputs as numbers, multiplied out where they are integers with a scale."""
    scale, zero = leaving["quantization"]
    if outputs.dtype.kind in "iu" and scale:
        return ((outputs.astype(np.int32) - zero) * np.float32(scale)).astype(np.float32)
    return outputs.copy()
