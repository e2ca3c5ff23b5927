"""What the weights of a target or of a version may be: in memory or in a file, in full precision or quantized."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor, nn

from quantmis.model_folders import last_checkpoint, require_sound
from quantmis.models import Task
from quantmis.models.hugging_face import trained_in
from quantmis.models.weights import read_weights, with_weights
from quantmis.quantizers import Quantized, formats, installed
from quantmis.quantizers import layers as part
from quantmis.quantizers.extras.onnx import OnnxRuntime
from quantmis.quantizers.extras.onnx_file import onnx_file
from quantmis.quantizers.formats.artefact import GRAPH, RECORD


@dataclass(frozen=True)
class Artefact:
    """Hold the path of a file of weights: of a state dict, or made by another tool, with its names as `rename` says."""

    path: Path
    rename: Mapping[str, str] = field(default_factory=dict)


Weights = nn.Module | Quantized | Artefact | Mapping[str, Tensor] | str | Path


def from_file(
    file: Artefact, task: Task, name: str, trained: Callable[[], nn.Module] | None = None
) -> nn.Module | Quantized:
    """Return what a file holds: quantized layers of a known format, or else a state dict, in evaluation mode.

    `trained` gives the numbers that a record of layers alone leaves out, where there is such a model.

    ONNX files are computed by ONNX Runtime where it is installed, as they are when they are deployed.
    """
    kind = format_of(file.path)
    if kind is None:
        return filled(task, file.path, name)
    if kind == GRAPH and installed(OnnxRuntime):
        return onnx_file(file.path)
    keep = kind == RECORD and trained is not None
    base = trained() if keep and trained is not None else task.build(0)
    restored = formats.restore(base, file.path, file.rename, keep=keep)
    restored.model.eval()
    return restored


def file_of(weights: object) -> Artefact | None:
    """Return the file that weights are in, None for those in memory and for all that is no weights.

    Of the folder that a Trainer wrote, that is its last checkpoint where the folder itself holds no model.
    """
    if isinstance(weights, Artefact):
        return replace(weights, path=last_checkpoint(weights.path))
    return Artefact(last_checkpoint(Path(weights))) if isinstance(weights, str | Path) else None


def format_of(path: Path) -> str | None:
    """Return the format of a file of another tool, or of a folder; None for all else, what is missing included."""
    return formats.format_of(path) if path.exists() else None


def dequantized(task: Task, quantized: Quantized) -> nn.Module:
    """Return the model of the task with the numbers that a record stands for."""
    coded = {part.weight_key(layer.name): layer.dequantize() for layer in quantized.layers}
    module = task.build(0)
    state = module.state_dict()
    shared = {state[name].data_ptr(): value for name, value in coded.items() if name in state}
    tied = {name: shared[value.data_ptr()] for name, value in state.items() if value.data_ptr() in shared}
    return with_weights(module, {**tied, **quantized.others, **coded}, "the quantized model").eval()


def filled(task: Task, weights: Mapping[str, Tensor] | str | Path, name: str) -> nn.Module:
    """Return the model of the task with the weights of a state dict, or of the file or folder of one."""
    if isinstance(weights, str | Path) and Path(weights).is_dir():
        require_sound(Path(weights))
        return trained_in(task.model, Path(weights)).eval()
    tensors = weights if isinstance(weights, Mapping) else read_weights(weights)
    return with_weights(task.build(0), tensors, name).eval()
