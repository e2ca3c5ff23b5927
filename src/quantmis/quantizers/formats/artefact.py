"""A quantized model that someone else made: read its file, and put it into the architecture it was made from.

Nothing in a file is executed. What kind of file it is shows in its first bytes and in the names of its tensors, never
in its extension.

A tensor of a file belongs to the part of the model that has its name. Where one prefix, such as `model.`, taken off or
put before every name makes all of them fit, that is done; all else is said with `rename`.
"""

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from quantmis.errors import UserError, require
from quantmis.quantizers import layers as part
from quantmis.quantizers.base import Change, Generators, Quantized, Quantizer
from quantmis.quantizers.checked import checked
from quantmis.quantizers.codebook import written
from quantmis.quantizers.formats import bitsandbytes, compressed_tensors, gguf, gptq, names, onnx, torchao
from quantmis.quantizers.record import QuantizedLayer, transposed
from quantmis.quantizers.storage import FORMAT, load, read_safetensors, refuse_pickle


@dataclass(frozen=True, eq=False)
class Artefact:
    """Hold what a file holds: the record of its quantized layers, and its other tensors by name.

    A record of ours holds the layers alone; a graph holds constants beside the tensors of a model.
    """

    format: str
    layers: tuple[QuantizedLayer, ...]
    others: dict[str, Tensor]


@dataclass(frozen=True)
class Read(Quantizer):
    """Stand for the tool that made a file, where what it did is checked."""

    path: str
    name: ClassVar[str] = "artefact"

    def apply(self, models: list[nn.Module], calibration: list[Tensor] | None, generators: Generators) -> list[Change]:
        """Put the file into each model."""
        found = read(self.path)
        return [written(model, found.layers) for model in models]


FORMATS = {
    "compressed-tensors": (compressed_tensors.fits, compressed_tensors.layers),
    "gptq": (gptq.fits, gptq.layers),
    "bitsandbytes": (bitsandbytes.fits, bitsandbytes.layers),
    "torchao": (torchao.fits, torchao.layers),
}
GRAPH, RECORD = "onnx", "quantmis"


def read(path: str | Path) -> Artefact:
    """Return what a quantized model in a file holds, or in a folder of safetensors files with a config.json.

    Read are GGUF, ONNX, our own records, and safetensors of compressed-tensors, GPTQ, bitsandbytes and torchao. Raises
    `UserError` for a file that is missing, damaged, a pickle (which is not opened), or of none of these formats.
    """
    path = Path(path)
    if path.is_dir():
        return _checkpoint(path, sorted(path.glob("*.safetensors")), path)
    refuse_pickle(path)
    with path.open("rb") as file:
        start = file.read(4)
    if start == gguf.MAGIC:
        return Artefact("gguf", *gguf.contents(path))
    if onnx.fits(start):
        return Artefact(GRAPH, *onnx.contents(path))
    return _checkpoint(path, [path], path.parent)


def recognised(path: str | Path) -> bool:
    """Say whether `read` knows the format of a file; `UserError` for one that is missing, damaged or a pickle."""
    refuse_pickle(path)
    with Path(path).open("rb") as file:
        start = file.read(4)
    return start == gguf.MAGIC or any(fits(read_safetensors(path)[1]) for fits, _ in FORMATS.values())


def restore(
    model: nn.Module, path: str | Path, rename: Mapping[str, str] | Callable[[str], str] | None = None
) -> Quantized:
    """Return a copy of `model` that computes with the weights of the file at `path`, and the record of its layers.

    `model` gives the architecture, and nothing else: the file must hold every one of its tensors, except where it is a
    record of ours. `rename` says what a tensor of the file is called in the model (its state's names, without ".weight"
    for layers), where the names differ by more than a prefix. Raises `UserError` for names or shapes that do not fit.
    """
    found = read(path)
    new = names.mapping(model, [*(part.weight_key(layer.name) for layer in found.layers), *found.others], rename)
    layers = tuple(replace(layer, name=new(layer.name)) for layer in found.layers)
    others = {new(name): value for name, value in found.others.items()}
    base = copy.deepcopy(model)
    if found.format == GRAPH:
        others = {name: value for name, value in others.items() if name in base.state_dict()}
    names.require_known(base, [layer.name for layer in layers], path)
    if found.format != RECORD:
        names.require_complete(base, {*(part.weight_key(layer.name) for layer in layers), *others}, path)
    _load(base, others, path)
    shaped = _shaped(base, layers, path, turn=found.format != RECORD)
    return checked(Read(str(path)), base, written(copy.deepcopy(base), shaped))


def _checkpoint(path: Path, files: list[Path], folder: Path) -> Artefact:
    """Return what safetensors files hold together, as the configuration in their folder says."""
    require(files, f"{path} holds no safetensors file", hint="pickles (.bin, .pt) are not read: save as safetensors")
    tensors: dict[str, Tensor] = {}
    words = _configuration(folder)
    for file in files:
        header, own = read_safetensors(file)
        words |= header
        tensors |= own
    if words.get("format") == FORMAT:
        return Artefact(RECORD, load(files[0]), {})
    for name, (fits, layers) in FORMATS.items():
        if fits(tensors):
            return Artefact(name, *_read(path, layers, tensors, words))
    raise UserError(
        f"{path} holds no quantized layers of a known format",
        hint=f"known: gguf, onnx, {', '.join(FORMATS)} (safetensors)",
    )


def _configuration(folder: Path) -> dict[str, Any]:
    """Return how the files of a folder were quantized, where a config.json or quantize_config.json beside them says."""
    words: dict[str, Any] = {}
    for name in ("config.json", "quantize_config.json"):
        file = folder / name
        if file.is_file():
            try:
                said = json.loads(file.read_text())
            except ValueError as error:
                raise UserError(f"{file} is no JSON: {error}") from error
            words |= said.get("quantization_config", {}) if name == "config.json" else said
    words.pop("format", None)  # the header of a safetensors file uses the word too
    return words


def _read(
    path: Path,
    layers: Callable[..., tuple[tuple[QuantizedLayer, ...], dict[str, Tensor]]],
    tensors: dict[str, Tensor],
    words: dict[str, Any],
) -> tuple[tuple[QuantizedLayer, ...], dict[str, Tensor]]:
    try:
        return layers(tensors, words)
    except (KeyError, RuntimeError, ValueError) as error:
        raise UserError(f"{path} is damaged: its tensors do not fit one another ({error})") from error


def _load(model: nn.Module, tensors: dict[str, Tensor], path: str | Path) -> None:
    state = model.state_dict()
    unknown = [name for name in tensors if name not in state]
    require(not unknown, f"{path}: the model has no {', '.join(unknown)}", hint="say with rename= what they are called")
    with torch.no_grad():
        for name, value in tensors.items():
            fits = value.shape == state[name].shape
            flat = value.ndim != state[name].ndim and value.numel() == state[name].numel()
            require(
                fits or flat,
                f"{path}: {name} has shape {list(value.shape)}, not those of the model, {list(state[name].shape)}",
            )
            state[name].copy_(value.reshape(state[name].shape))


def _shaped(
    model: nn.Module, layers: tuple[QuantizedLayer, ...], path: str | Path, turn: bool
) -> tuple[QuantizedLayer, ...]:
    """Return the layers in the shapes of the model: files keep convolutions as matrices, and GPT-2's Conv1D turned."""
    made: list[QuantizedLayer] = []
    for layer in layers:
        module = model.get_submodule(layer.name)
        shape = model.get_parameter(part.weight_key(layer.name)).shape
        own = transposed(layer) if turn and part.is_transposed(module) else layer
        require(
            own.shape == shape or (own.codes.ndim != len(shape) and own.codes.numel() == shape.numel()),
            f"{path}: {layer.name} has shape {list(own.shape)}, in the model {list(shape)}",
        )
        made.append(replace(own, codes=own.codes.reshape(shape)))
    return tuple(made)
