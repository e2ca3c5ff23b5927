"""A quantized model that someone else made: read its file into the record.

Nothing in a file is executed. What kind of file it is shows in its first bytes and in the names of its tensors, never
in its extension. What the configuration beside it says must be understood word by word (`words`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from quantmis.errors import UserError, require
from quantmis.files import opened
from quantmis.model_folders import require_sound
from quantmis.models.weights import with_aliases
from quantmis.quantizers.formats import awq, bitsandbytes, compressed_tensors, gguf, gptq, onnx, torchao
from quantmis.quantizers.formats.lookalikes import look, quantized_as
from quantmis.quantizers.formats.words import configuration
from quantmis.quantizers.record import QuantizedLayer
from quantmis.quantizers.storage import FORMAT, read_safetensors, recorded, refuse_pickle
from quantmis.tensor_files import START, Entry, Head, head_of, looks_like_onnx, looks_like_pickle


@dataclass(frozen=True, eq=False)
class Artefact:
    """Hold what a file holds: the record of its quantized layers, and its other tensors by name.

    `others` is None for a record of ours that holds layers alone; a graph holds constants beside the tensors of a
    model. `notes` says what the tool that the file is for does besides, which no weight shows. `settings` holds what
    the file says of the computation of a language model, by the names of transformers' configurations. `words`: the
    metadata of a GGUF file whose tensors are named once the model is known.
    """

    format: str
    layers: tuple[QuantizedLayer, ...]
    others: dict[str, Tensor] | None
    notes: tuple[str, ...] = ()
    settings: Mapping[str, float] = field(default_factory=dict[str, float])
    words: Mapping[str, object] = field(default_factory=dict[str, object])


class Reader(NamedTuple):
    """Hold how files of a format are known, which configurations of it are read, and how its layers are."""

    fits: Callable[[Mapping[str, Entry]], bool]
    require_read: Callable[[str, Mapping[str, Any]], None]
    layers: Callable[..., tuple[tuple[QuantizedLayer, ...], dict[str, Tensor]]]


READERS = {
    "compressed-tensors": Reader(compressed_tensors.fits, compressed_tensors.require_read, compressed_tensors.layers),
    "awq": Reader(awq.fits, awq.require_read, awq.layers),
    "gptq": Reader(gptq.fits, gptq.require_read, gptq.layers),
    "bitsandbytes": Reader(bitsandbytes.fits, bitsandbytes.require_read, bitsandbytes.layers),
    "torchao": Reader(torchao.fits, torchao.require_read, torchao.layers),
}
AUTO_ROUND = ("auto-round", "intel/auto-round")
GRAPH, BLOCKS, RECORD = "onnx", "gguf", "quantmis"
KNOWN = f"{BLOCKS}, {GRAPH}, {', '.join(READERS)} (safetensors)"
ACTIVATIONS = "activations (rounded where the file runs)"


def format_of(path: str | Path) -> str | None:
    """Return the format of a quantized model in a file or folder, None where it holds something else.

    Only the first bytes and the heads of safetensors are looked at. Raises `UserError` for what is missing, damaged, or
    quantized in a format that is not read.
    """
    path = Path(path)
    if path.is_dir():
        return _of_entries(path, _joined(path, {file: head_of(file) for file in _parts(path)}))
    require(path.exists(), f"there is no file {path}")
    start = _start(path)
    if start.startswith((gguf.MAGIC, b"PK\x03\x04")) or looks_like_pickle(start):
        return BLOCKS if start.startswith(gguf.MAGIC) else None
    if looks_like_onnx(start):
        return GRAPH
    head = _head(path)
    return RECORD if head.words.get("format") == FORMAT else _of_entries(path, head.tensors)


def read(path: str | Path) -> Artefact:
    """Return what a quantized model in a file holds, or in a folder of safetensors files with a config.json.

    Read are GGUF, ONNX, our own records, and safetensors of compressed-tensors, GPTQ, AWQ, AutoRound, bitsandbytes and
    torchao. Raises `UserError` for a file that is missing, damaged, a pickle (which is not opened), of none of these
    formats, or whose configuration says what is not understood.
    """
    path = Path(path)
    if path.is_dir():
        require_sound(path)
        return _checkpoint(path, _parts(path), path)
    refuse_pickle(path)
    start = _start(path)
    if start.startswith(gguf.MAGIC):
        contents = gguf.contents(path)
        return Artefact(BLOCKS, contents.layers, contents.others, settings=contents.settings, words=contents.words)
    if looks_like_onnx(start):
        layers, others, rounds = onnx.contents(path)
        return Artefact(GRAPH, layers, others, (ACTIVATIONS,) if rounds else ())
    return _checkpoint(path, [path], path.parent)


def _start(path: Path) -> bytes:
    with opened(path) as file:
        return file.read(START)


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def _head(path: Path) -> Head:
    """Return the head of a safetensors file, and say what a file looks like that is none."""
    try:
        return head_of(path)
    except UserError as error:
        words = "" if _start(path)[8:] == b"{" else look(path)
        if words:
            raise UserError(f"{path} looks like {words}", hint=f"read are {KNOWN}") from error
        raise


def _joined(path: Path, heads: Mapping[Path, Head]) -> dict[str, Entry]:
    """Return the tensors of several files; `UserError` for a name that two of them have."""
    entries: dict[str, Entry] = {}
    for file, head in heads.items():
        twice = [name for name in head.tensors if name in entries]
        require(not twice, f"{path}: {file.name} holds {', '.join(twice[:3])}, and so does another file")
        entries |= head.tensors
    return entries


def _of_entries(path: Path, entries: Mapping[str, Entry]) -> str | None:
    """Return the format that tensors are in, None for plain ones; `UserError` for a format that is not read."""
    format = next((name for name, reader in READERS.items() if reader.fits(entries)), None)
    other = None if format else quantized_as(entries)
    if other is not None:
        raise UserError(
            f"{path} looks like {other[0]}, which is not read here", hint=f"the nearest that is: {other[1]}"
        )
    return format


def _checkpoint(path: Path, files: list[Path], folder: Path) -> Artefact:
    """Return what safetensors files hold together, as the configuration in their folder says."""
    require(files, f"{path} holds no safetensors file", hint="pickles (.bin, .pt) are not read: save as safetensors")
    heads = {file: _head(file) for file in files}
    entries = _joined(path, heads)
    header = {name: value for head in heads.values() for name, value in head.words.items()}
    tensors = {name: value for file in files for name, value in read_safetensors(file)[1].items()}
    if header.get("format") == FORMAT:
        return Artefact(RECORD, *recorded(path, header, tensors))
    words = configuration(folder)
    name = _agreed_format(path, words, _of_entries(path, entries))
    tensors |= with_aliases(header, tensors)
    layers, others = _read(path, READERS[name].layers, tensors, words | header if name == "torchao" else words)
    return Artefact(name, layers, others, (ACTIVATIONS,) if _rounds_activations(name, layers, words, header) else ())


def _agreed_format(path: Path, words: Mapping[str, Any], format: str | None) -> str:
    """Return the format that tensors show, once their configuration says the same and is understood."""
    method = words.get("quant_method")
    require(format, f"{path} holds no quantized layers of a known format", hint=f"known: {KNOWN}")
    if method in AUTO_ROUND:
        gptq.require_auto_round(str(path), words)
        meant = "awq" if words.get("packing_format") == "auto_round:auto_awq" else "gptq"
    else:
        is_read = method is None or method in READERS
        require(is_read, f"{path}: quant_method = {method!r} is not read", hint=f"read are {KNOWN} and auto-round")
        meant = str(format if method is None else method)
        READERS[meant].require_read(str(path), words)
    require(meant == format, f"{path}: its configuration says {meant}, its tensors are those of {format}")
    return meant


def _rounds_activations(
    name: str, layers: tuple[QuantizedLayer, ...], words: Mapping[str, Any], header: Mapping[str, str]
) -> bool:
    """Say whether the tool that the file is for rounds activations too: bitsandbytes with int8 does, others say so."""
    if name == "bitsandbytes":
        return any(layer.levels == bitsandbytes.INT8 for layer in layers)
    if name == "torchao":
        return any(torchao.rounds_activations(word) for word in header.values())
    groups = words.get("config_groups") or {}
    return any(bool(group.get("input_activations")) for group in groups.values())


def _read(
    path: Path,
    layers: Callable[..., tuple[tuple[QuantizedLayer, ...], dict[str, Tensor]]],
    tensors: dict[str, Tensor],
    words: Mapping[str, Any],
) -> tuple[tuple[QuantizedLayer, ...], dict[str, Tensor]]:
    try:
        return layers(tensors, words)
    except (IndexError, KeyError, RuntimeError, TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise UserError(f"{path} is damaged: its tensors do not fit one another ({error})") from error
