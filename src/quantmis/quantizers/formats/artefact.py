"""A quantized model that someone else made: read its file into the record.

Nothing in a file is executed. What kind of file it is shows in its first bytes and in the names of its tensors, never
in its extension.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from quantmis.errors import UserError, require
from quantmis.quantizers.formats import bitsandbytes, compressed_tensors, gguf, gptq, onnx, torchao
from quantmis.quantizers.record import QuantizedLayer
from quantmis.quantizers.storage import FORMAT, read_safetensors, recorded, refuse_pickle


@dataclass(frozen=True, eq=False)
class Artefact:
    """Hold what a file holds: the record of its quantized layers, and its other tensors by name.

    `others` is None for a record of ours that holds layers alone; a graph holds constants beside the tensors of a
    model. `notes` says what the tool that the file is for does besides, which no weight shows.
    """

    format: str
    layers: tuple[QuantizedLayer, ...]
    others: dict[str, Tensor] | None
    notes: tuple[str, ...] = ()


FORMATS = {
    "compressed-tensors": (compressed_tensors.fits, compressed_tensors.layers),
    "gptq": (gptq.fits, gptq.layers),
    "bitsandbytes": (bitsandbytes.fits, bitsandbytes.layers),
    "torchao": (torchao.fits, torchao.layers),
}
GRAPH, BLOCKS, RECORD = "onnx", "gguf", "quantmis"
KNOWN = f"{BLOCKS}, {GRAPH}, {', '.join(FORMATS)} (safetensors)"
HEAD = 9
ACTIVATIONS = "activations (rounded to 8 bits where the file runs)"


def format_of(path: str | Path) -> str | None:
    """Return the format of a quantized model in a file or folder, None where it holds something else.

    Only the first bytes and the names of tensors are looked at. Raises `UserError` for what is missing or damaged.
    """
    path = Path(path)
    if path.is_dir():
        return _of_names(name for file in _parts(path) for name in _names(file)[1])
    require(path.is_file(), f"there is no file {path}")
    start = _start(path)
    if start.startswith((gguf.MAGIC, b"\x80", b"PK\x03\x04")):
        return BLOCKS if start.startswith(gguf.MAGIC) else None
    if onnx.fits(start):
        return GRAPH
    header, names = _names(path)
    return RECORD if header.get("format") == FORMAT else _of_names(names)


def read(path: str | Path) -> Artefact:
    """Return what a quantized model in a file holds, or in a folder of safetensors files with a config.json.

    Read are GGUF, ONNX, our own records, and safetensors of compressed-tensors, GPTQ, bitsandbytes and torchao. Raises
    `UserError` for a file that is missing, damaged, a pickle (which is not opened), or of none of these formats.
    """
    path = Path(path)
    if path.is_dir():
        return _checkpoint(path, _parts(path), path)
    refuse_pickle(path)
    start = _start(path)
    if start.startswith(gguf.MAGIC):
        return Artefact(BLOCKS, *gguf.contents(path))
    if onnx.fits(start):
        layers, others, rounds = onnx.contents(path)
        return Artefact(GRAPH, layers, others, (ACTIVATIONS,) if rounds else ())
    return _checkpoint(path, [path], path.parent)


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def _names(path: Path) -> tuple[dict[str, str], list[str]]:
    """Return the header and the names of the tensors of a safetensors file, without reading the tensors."""
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, list(file.keys())
    except SafetensorError as error:
        raise UserError(f"{path} is no safetensors file, or is damaged: {error}", hint=f"read are {KNOWN}") from error


def _of_names(names: Iterable[str]) -> str | None:
    own = list(names)
    return next((each for each, (fits, _) in FORMATS.items() if fits(own)), None)


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
        return Artefact(RECORD, *recorded(path, words, tensors))
    name = _of_names(tensors)
    require(name, f"{path} holds no quantized layers of a known format", hint=f"known: {KNOWN}")
    layers, others = _read(path, FORMATS[str(name)][1], tensors, words)
    return Artefact(str(name), layers, others, (ACTIVATIONS,) if _rounds_activations(str(name), layers, words) else ())


def _rounds_activations(name: str, layers: tuple[QuantizedLayer, ...], words: dict[str, Any]) -> bool:
    """Say whether the tool that the file is for rounds activations too: bitsandbytes with int8 does, others say so."""
    if name == "bitsandbytes":
        return any(layer.levels == bitsandbytes.INT8 for layer in layers)
    if name == "torchao":
        return any(torchao.rounds_activations(word) for word in words.values())
    groups = words.get("config_groups") or {}
    return any(isinstance(group, dict) and group.get("input_activations") for group in dict(groups).values())


def _configuration(folder: Path) -> dict[str, Any]:
    """Return how the files of a folder were quantized, where a config.json or quantize_config.json beside them says."""
    words: dict[str, Any] = {}
    for name in ("config.json", "quantize_config.json"):
        file = folder / name
        if file.is_file():
            try:
                said = json.loads(file.read_text(encoding="utf-8"))
            except ValueError as error:
                raise UserError(f"{file} is no JSON: {error}") from error
            words |= said.get("quantization_config") or {} if name == "config.json" else said
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
    except (IndexError, KeyError, RuntimeError, TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"{path} is damaged: its tensors do not fit one another ({error})") from error
