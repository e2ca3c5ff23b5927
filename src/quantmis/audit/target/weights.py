"""What the weights of a target or of a version may be: in memory or in a file, in full precision or quantized."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor, nn

from quantmis.errors import require
from quantmis.model_folders import ADAPTER, last_checkpoint, require_sound
from quantmis.models import Task
from quantmis.models.hugging_face import HuggingFace, trained_in
from quantmis.models.several import taking
from quantmis.models.weights import read_weights, with_weights
from quantmis.quantizers import QUANTIZERS, Quantized, formats, installed, needs_calibration, needs_generator
from quantmis.quantizers import layers as part
from quantmis.quantizers.extras.litert_file import litert_file
from quantmis.quantizers.extras.onnx import OnnxRuntime
from quantmis.quantizers.extras.onnx_file import onnx_file
from quantmis.quantizers.formats.artefact import GRAPH, LITERT, RECORD


@dataclass(frozen=True)
class Artefact:
    """Hold the path of a file of weights: of a state dict, or made by another tool, with its names as `rename` says.

    `base`: what the model under an adapter runs as where it stays quantized (QLoRA): the name of a quantizer, such as
    "bitsandbytes.linear4bit", which the linear layers but the output go through; or the path of a quantized model.
    """

    path: Path
    rename: Mapping[str, str] = field(default_factory=dict)
    base: str | Path | None = None


Weights = nn.Module | Quantized | Artefact | Mapping[str, Tensor] | str | Path


def from_file(
    file: Artefact, task: Task, name: str, trained: Callable[[], nn.Module] | None = None
) -> nn.Module | Quantized:
    """Return what a file holds: quantized layers of a known format, or else a state dict, in evaluation mode.

    `trained` gives the numbers that a record of layers alone leaves out, where there is such a model.

    ONNX files are computed by ONNX Runtime where it is installed, and LiteRT files by LiteRT's interpreter alone, as
    they are when they are deployed.
    """
    kind = format_of(file.path)
    if file.base is not None:
        return _on_quantized_base(file, task, file.base)
    if kind is None:
        return filled(task, file.path, name, file.rename)
    if is_computed_elsewhere(file):
        return litert_file(file.path) if kind == LITERT else onnx_file(file.path)
    keep = kind == RECORD and trained is not None
    base = trained() if keep and trained is not None else task.empty()
    restored = formats.restore_into(base, file.path, file.rename or None, keep=keep)
    restored.model.eval()
    return restored


def in_memory(module: nn.Module, task: Task) -> nn.Module:
    """Return a copy of a module of the user's that reads samples as models of the task do, in evaluation mode."""
    own = copy.deepcopy(module).cpu().eval()
    return task.model.reading(own) if isinstance(task.model, HuggingFace) else taking(own, task.layout)


def is_computed_elsewhere(weights: object) -> bool:
    """Say whether weights are a file that another runtime computes."""
    file = file_of(weights)
    kind = None if file is None else format_of(file.path)
    return kind == LITERT or (kind == GRAPH and installed(OnnxRuntime))


def rounds_inputs(weights: object) -> bool:
    """Say whether weights are a file whose model rounds inputs of its layers, which its module then does too."""
    file = file_of(weights)
    return file is not None and file.base is None and file.path.exists() and formats.rounds_inputs(file.path)


def _on_quantized_base(file: Artefact, task: Task, base: str | Path) -> nn.Module:
    """Return an adapter on the numbers that the codes of its base stand for: what it adds is not rounded."""
    is_adapter = (file.path / ADAPTER).is_file()
    require(is_adapter, f"base = {str(base)!r} goes with an adapter, and {file.path} is none", hint="leave base out")
    require_sound(file.path)
    if isinstance(base, Path):
        return trained_in(task.model, file.path, formats.restore_into(task.empty(), base).model, base).eval()
    quantizer, module = QUANTIZERS.parse(base), task.build(0)
    needs = needs_calibration(quantizer) or needs_generator(quantizer)
    require(not needs, f"base = {base!r}: its codes depend on more than the weights", hint="name the quantized folder")
    whole = [module.get_input_embeddings(), module.get_output_embeddings()]  # pyright: ignore[reportCallIssue]
    names = {name for name, each in module.named_modules() if any(each is one for one in whole)}
    coded = {layer.name: layer.dequantize() for layer in quantizer.quantize(module).layers if layer.name not in names}
    state = module.state_dict()
    for name, value in coded.items():
        state[part.key_in(state, name)].copy_(value)
    return trained_in(task.model, file.path, module).eval()


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
    module = task.empty()
    state = module.state_dict()
    shared = {state[name].data_ptr(): value for name, value in coded.items() if name in state}
    tied = {name: shared[value.data_ptr()] for name, value in state.items() if value.data_ptr() in shared}
    return with_weights(module, {**tied, **quantized.others, **coded}, "the quantized model").eval()


def filled(
    task: Task, weights: Mapping[str, Tensor] | str | Path, name: str, rename: Mapping[str, str] | None = None
) -> nn.Module:
    """Return the model of the task with the weights of a state dict, or of the file or folder of one.

    `rename` says what names of the weights are called in the model; a folder has the names of its own model.
    """
    if isinstance(weights, str | Path) and Path(weights).is_dir():
        require(not rename, f"{weights}: rename goes with a file, and this is a folder", hint="leave rename out")
        require_sound(Path(weights))
        return trained_in(task.model, Path(weights)).eval()
    tensors = weights if isinstance(weights, Mapping) else read_weights(weights)
    adopts = isinstance(task.model, HuggingFace)
    return with_weights(task.empty(), tensors, name, adopts, rename).eval()
