"""A quantized model that someone else made: read its file into the record.

Nothing in a file is executed. What kind of file it is shows in its first bytes and in the names of its tensors, never
in its extension. What the configuration beside it says must be understood word by word (`words`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from quantmis.errors import UserError, require
from quantmis.files import opened
from quantmis.inspection.genai import is_genai, model_file
from quantmis.inspection.kinds import BLOCKS, GENAI, GRAPH, KNOWN, LITERT, NETWORK, RECORD, agreed, of_entries
from quantmis.inspection.lookalikes import look, look_inside
from quantmis.inspection.roundings import rounds
from quantmis.inspection.words import configuration
from quantmis.model_folders import require_sound
from quantmis.models.weights import with_aliases
from quantmis.quantizers.formats import (
    awq,
    bitnet,
    bitsandbytes,
    compressed_tensors,
    exl2,
    fp8,
    genai,
    gguf,
    gptq,
    hqq,
    litert,
    mlx,
    modelopt,
    mxfp4,
    onnx,
    openvino,
    quanto,
    torchao,
)
from quantmis.quantizers.formats.activations import RoundedInputs
from quantmis.quantizers.formats.beside import ACTIVATIONS, computed_beside
from quantmis.quantizers.record import QuantizedLayer
from quantmis.quantizers.storage import FORMAT, read_safetensors, recorded, refuse_pickle
from quantmis.tensor_files import (
    START,
    Entry,
    Head,
    head_of,
    looks_like_litert,
    looks_like_onnx,
    looks_like_openvino,
    looks_like_pickle,
)


@dataclass(frozen=True, eq=False)
class Artefact:
    """Hold what a file holds: the record of its quantized layers, and its other tensors by name.

    `others` is None for a record of ours that holds layers alone; a graph holds constants beside the tensors of a
    model. `notes` says what the tool that the file is for does besides, which no weight shows. `settings` holds what
    the file says of the computation of a language model, by the names of transformers' configurations. `words`: the
    metadata of a GGUF file whose tensors are named once the model is known. `roundings`: how layers round their inputs
    where the file runs, by their names.
    """

    format: str
    layers: tuple[QuantizedLayer, ...]
    others: dict[str, Tensor] | None
    notes: tuple[str, ...] = ()
    settings: Mapping[str, float] = field(default_factory=dict[str, float])
    words: Mapping[str, object] = field(default_factory=dict[str, object])
    roundings: Mapping[str, RoundedInputs] = field(default_factory=dict[str, RoundedInputs])


Layers = Callable[..., tuple[tuple[QuantizedLayer, ...], dict[str, Tensor]]]
READERS: dict[str, Layers] = {
    "modelopt": modelopt.layers,
    "fp8": fp8.layers,
    "mxfp4": mxfp4.layers,
    "bitnet": bitnet.layers,
    "compressed-tensors": compressed_tensors.layers,
    "awq": awq.layers,
    "gptq": gptq.layers,
    "bitsandbytes": bitsandbytes.layers,
    "torchao": torchao.layers,
    "mlx": mlx.layers,
    "hqq": hqq.layers,
    "quanto": quanto.layers,
    "exl2": exl2.layers,
}
"""What reads the layers of a format of safetensors, from its tensors and what its configuration says."""


def format_of(path: str | Path) -> str | None:
    """Return the format of a quantized model in a file or folder, None where it holds something else.

    Only the first bytes and the heads of safetensors are looked at. Raises `UserError` for what is missing, damaged, or
    quantized in a format that is not read.
    """
    path = Path(path)
    if _is_decoder(path):
        return GENAI
    if path.is_dir():
        words = look_inside(path)
        require(not words, f"{path} looks like {words}, which is not read here", hint=f"read are {KNOWN}")
        entries = _joined(path, {file: head_of(file) for file in _parts(path)})
        return of_entries(path, entries, configuration(path))
    require(path.exists(), f"there is no file {path}")
    start = _start(path)
    if start.startswith((gguf.MAGIC, b"PK\x03\x04")) or looks_like_pickle(start):
        return BLOCKS if start.startswith(gguf.MAGIC) else None
    if looks_like_onnx(start):
        return GRAPH
    if looks_like_litert(start):
        return LITERT
    if looks_like_openvino(path):
        return NETWORK
    head = _head(path)
    return RECORD if head.words.get("format") == FORMAT else of_entries(path, head.tensors, configuration(path.parent))


def rounds_inputs(path: str | Path) -> bool:
    """Say whether a file rounds inputs of layers in a way that `restore` repeats; heads and a configuration tell."""
    path = Path(path)
    if format_of(path) not in READERS:
        return False
    entries = _joined(path, {file: head_of(file) for file in (_parts(path) if path.is_dir() else [path])})
    words = configuration(path if path.is_dir() else path.parent)
    return rounds(agreed(path, words, entries), words, entries)


def read(path: str | Path) -> Artefact:
    """Return what a quantized model in a file holds, or in a folder of safetensors files with a config.json.

    Read are GGUF, ONNX, LiteRT, OpenVINO, our own records, and safetensors in the formats of `READERS`.
    Raises `UserError` for a file that is missing, damaged, a pickle (which is not opened), of none of these
    formats, or whose configuration says what is not understood.
    """
    path = Path(path)
    if _is_decoder(path):
        layers, others, rounds, settings = genai.contents(model_file(path) if path.is_dir() else path)
        return Artefact(GENAI, layers, others, (ACTIVATIONS,) if rounds else (), settings=settings)
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
    if looks_like_litert(start):
        layers, others, rounds = litert.contents(path)
        return Artefact(LITERT, layers, others, (ACTIVATIONS,) if rounds else ())
    if looks_like_openvino(path):
        return Artefact(NETWORK, *openvino.contents(path), (ACTIVATIONS,))
    return _checkpoint(path, [path], path.parent)


def _is_decoder(path: Path) -> bool:
    """Say whether a path is a folder of onnxruntime-genai, or an ONNX file in one."""
    if not is_genai(path) or not path.exists():
        return False
    return not _parts(path) if path.is_dir() else looks_like_onnx(_start(path))


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
    name = agreed(path, words, entries)
    tensors |= with_aliases(header, tensors)
    said = words | header if name == "torchao" else words
    layers, others = _read(path, READERS[name], tensors, said)
    hooks, notes = computed_beside(str(path), name, [layer.name for layer in layers], tensors, said)
    return Artefact(name, layers, others, notes, roundings=hooks)


def _read(
    path: Path, layers: Layers, tensors: dict[str, Tensor], words: Mapping[str, Any]
) -> tuple[tuple[QuantizedLayer, ...], dict[str, Tensor]]:
    try:
        return layers(tensors, words)
    except (IndexError, KeyError, RuntimeError, TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise UserError(f"{path} is damaged: its tensors do not fit one another ({error})") from error
