"""A quantized model that someone else made: read its file, and put it into the architecture it was made from.

Nothing in a file is executed. What kind of file it is shows in its first bytes and in the names of its tensors, never
in its extension.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from quantmis.errors import UserError, require
from quantmis.quantizers.base import Change, Generators, Quantized, Quantizer
from quantmis.quantizers.checked import checked
from quantmis.quantizers.codebook import written
from quantmis.quantizers.formats import bitsandbytes, compressed_tensors, gguf, gptq
from quantmis.quantizers.record import QuantizedLayer
from quantmis.quantizers.storage import read_safetensors, refuse_pickle


@dataclass(frozen=True, eq=False)
class Artefact:
    """Hold what a file holds: the record of its quantized layers, and its other tensors by name."""

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
}


def read(path: str | Path) -> Artefact:
    """Return what a GGUF file, or a safetensors file of compressed-tensors, GPTQ or bitsandbytes, holds.

    Raises `UserError` for a file that is missing, damaged, a pickle, or of none of these formats.
    """
    refuse_pickle(path)
    with Path(path).open("rb") as file:
        start = file.read(4)
    if start == gguf.MAGIC:
        return Artefact("gguf", *gguf.contents(Path(path)))
    tensors = read_safetensors(path)[1]
    for name, (fits, layers) in FORMATS.items():
        if fits(tensors):
            return Artefact(name, *_read(path, layers, tensors))
    raise UserError(
        f"{path} holds no quantized layers of a known format", hint=f"known: gguf, {', '.join(FORMATS)} (safetensors)"
    )


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

    `model` gives the architecture; `rename` says what a tensor of the file is called in it (its state's names, without
    ".weight" for layers), where the names differ. Raises `UserError` for names or shapes that do not fit.
    """
    found = read(path)
    new = rename if callable(rename) else _renamed(rename or {})
    layers = tuple(replace(layer, name=new(layer.name)) for layer in found.layers)
    base = copy.deepcopy(model)
    _load(base, {new(name): value for name, value in found.others.items()}, path)
    known = {name for name, part in base.named_modules() if hasattr(part, "weight")}
    missing = [layer.name for layer in layers if layer.name not in known]
    require(not missing, f"{path}: the model has no layers named {', '.join(missing)}", hint=f"it has: {sorted(known)}")
    return checked(Read(str(path)), base, written(copy.deepcopy(base), _shaped(base, layers, path)))


def _renamed(names: Mapping[str, str]) -> Callable[[str], str]:
    def new(name: str) -> str:
        return names.get(name, name)

    return new


def _read(
    path: str | Path,
    layers: Callable[..., tuple[tuple[QuantizedLayer, ...], dict[str, Tensor]]],
    tensors: dict[str, Tensor],
) -> tuple[tuple[QuantizedLayer, ...], dict[str, Tensor]]:
    try:
        return layers(tensors)
    except (KeyError, RuntimeError, ValueError) as error:
        raise UserError(f"{path} is damaged: its tensors do not fit one another ({error})") from error


def _load(model: nn.Module, tensors: dict[str, Tensor], path: str | Path) -> None:
    state = model.state_dict()
    unknown = [name for name in tensors if name not in state]
    require(not unknown, f"{path}: the model has no {', '.join(unknown)}", hint="say with rename= what they are called")
    with torch.no_grad():
        for name, value in tensors.items():
            require(
                value.numel() == state[name].numel(),
                f"{path}: {name} has {value.numel()} numbers, not those of the model",
            )
            state[name].copy_(value.reshape(state[name].shape))


def _shaped(model: nn.Module, layers: tuple[QuantizedLayer, ...], path: str | Path) -> tuple[QuantizedLayer, ...]:
    """Return the layers in the shapes of the model: files keep convolutions as matrices."""
    shapes = {layer.name: model.get_parameter(f"{layer.name}.weight".removeprefix(".")).shape for layer in layers}
    for layer in layers:
        require(
            layer.codes.numel() == shapes[layer.name].numel(),
            f"{path}: {layer.name} has shape {list(layer.shape)}, in the model {list(shapes[layer.name])}",
        )
    return tuple(replace(layer, codes=layer.codes.reshape(shapes[layer.name])) for layer in layers)
