"""Say what a file or a folder is: by its first bytes, its head, and what lies beside it. Nothing in it is run."""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from quantmis.errors import UserError, require
from quantmis.files import content_of, nearby, opened
from quantmis.inspection import modelopt, quanto, torchao
from quantmis.inspection.found import Inspection, Layer, Plain
from quantmis.inspection.genai import is_genai, model_file
from quantmis.inspection.gguf import BLOCKS, FLOATS, KINDS, UNREAD, Described
from quantmis.inspection.gguf import head_of as gguf_head_of
from quantmis.inspection.kinds import BLOCKS as GGUF
from quantmis.inspection.kinds import GRAPH, RECORD, agreed, of_entries
from quantmis.inspection.layers import layers_of
from quantmis.inspection.litert import file_of
from quantmis.inspection.lookalikes import look, look_inside, nearest_of
from quantmis.inspection.onnx import graph_of
from quantmis.inspection.openvino import network_of
from quantmis.inspection.roundings import rounds
from quantmis.inspection.words import configuration
from quantmis.model_folders import require_sound
from quantmis.tensor_files import (
    BITS,
    START,
    Entry,
    Head,
    digest_of,
    files_of,
    head_of,
    looks_like_litert,
    looks_like_onnx,
    looks_like_openvino,
    looks_like_pickle,
)

EXACT = "weights and computation are those that the file says"
ROUNDS = "weights are those of the file, and layers round their inputs as it says"
PLAIN = "numbers of a model in full precision"
RECORD_FORMAT = "quantmis.layers/1"
FEW = 64
"""Bytes of a tensor of a few numbers."""


def inspect(path: str | Path) -> Inspection:
    """Return what a file or a folder is; `UserError` only where there is nothing to look at, or it cannot be opened."""
    path = Path(path)
    require(path.exists(), f"there is no file {path}", hint=nearby(path))
    found = _folder(path) if path.is_dir() else _file(path)
    files = tuple((each.name, each.stat().st_size) for each in _files(path))
    return replace(found, path=str(path), files=files, digest=_digest(path))


def _files(path: Path) -> list[Path]:
    try:
        return files_of(path)
    except UserError:
        return [path] if path.is_file() else []


def _digest(path: Path) -> str:
    try:
        return digest_of(path)
    except UserError:
        return ""


def _folder(path: Path) -> Inspection:
    tensors = sorted(path.glob("*.safetensors"))
    if tensors:
        return _read_or_said(path, lambda: _safetensors(path, tensors))
    if is_genai(path):
        return _read_or_said(path, lambda: graph_of(model_file(path)))
    inside = [
        *sorted(path.glob("*.gguf")),
        *(each for kind in ("onnx", "tflite", "xml") for each in sorted(path.glob(f"*.{kind}"))),
    ]
    if inside:
        names = ", ".join(each.name for each in inside[:5])
        return replace(_file(inside[0]), looks_like=f"a folder of {names}: name the file that is meant")
    words = look_inside(path)
    if words:
        return Inspection(str(path), words, why="its weights are not read", nearest=nearest_of(words))
    names = ", ".join(sorted(each.name for each in path.iterdir())[:8])
    return Inspection(str(path), f"a folder of {names or 'nothing'}", why="it holds no weights of a known kind")


def _file(path: Path) -> Inspection:
    with opened(path) as file:
        start = file.read(START)
    if start.startswith(b"GGUF"):
        return _read_or_said(path, lambda: _gguf(path))
    if start.startswith(b"PK\x03\x04") or looks_like_pickle(start):
        what = "an archive or a pickle, as torch.save writes it"
        return Inspection(str(path), what, why="it is not opened here", nearest="safetensors")
    if looks_like_onnx(start):
        return _read_or_said(path, lambda: graph_of(path))
    if looks_like_litert(start):
        return _read_or_said(path, lambda: file_of(path))
    if looks_like_openvino(path):
        return _read_or_said(path, lambda: network_of(path))
    return _read_or_said(path, lambda: _safetensors(path, [path]))


def _read_or_said(path: Path, ask: Any) -> Inspection:
    """Return what `ask` does, or what a file looks like that it refuses, and why."""
    try:
        return ask()
    except UserError as error:
        words = look(path) if path.is_file() else ""
        what = words or "a folder of safetensors" if path.is_dir() else words or f"bytes that begin {_begin(path)}"
        return Inspection(str(path), what, why=str(error), nearest=nearest_of(words))


def _begin(path: Path) -> str:
    with opened(path) as file:
        return repr(file.read(16))


def _safetensors(path: Path, files: list[Path]) -> Inspection:
    heads = [head_of(file) for file in files]
    entries = {name: each for head in heads for name, each in head.tensors.items()}
    header = {name: value for head in heads for name, value in head.words.items()}
    plain = tuple(Plain(name, each.kind, each.shape) for name, each in entries.items())
    if header.get("format") == RECORD_FORMAT:
        layers = tuple(Layer(name, None, None, None, "") for name in _recorded(header))
        return Inspection(str(path), "a record of quantmis", RECORD, "quantmis", (), "", layers, **_good(EXACT))
    words = configuration(path if path.is_dir() else path.parent)
    format = of_entries(path, entries, words)
    if format is None:
        return Inspection(str(path), f"safetensors, {PLAIN}", unquantized=plain, **_good(PLAIN))
    header |= _numbers(format, files, heads)
    verdict = _verdict(path, format, words, header, entries)
    layers, rest = layers_of(format, entries, words if verdict["is_read"] else {}, header)
    said = {name: _short(value) for name, value in words.items()}
    what, tool = f"safetensors of {format}", _tool(words, header)
    return Inspection(str(path), what, format, tool, (), "", layers, rest, said, **verdict)


def _numbers(format: str, files: list[Path], heads: list[Head]) -> dict[str, str]:
    """Return what layers of HQQ say of themselves in tensors of a few numbers, whose bytes are read: bits and shape."""
    if format != "hqq":
        return {}
    numbers = dict[str, str]()
    for file, head in zip(files, heads, strict=True):
        with opened(file) as stream:
            for name, each in head.tensors.items():
                if name.endswith((".nbits", ".shape")) and each.end - each.begin <= FEW:
                    stream.seek(head.start + each.begin)
                    numbers[name] = _told(each.kind, stream.read(each.end - each.begin))
    return numbers


def _told(kind: str, content: bytes) -> str:
    if kind == "F32":
        return str(struct.unpack("<f", content)[0])
    size = BITS[kind] // 8
    return " ".join(str(int.from_bytes(content[at : at + size], "little")) for at in range(0, len(content), size))


def _good(why: str) -> dict[str, Any]:
    return {"is_read": True, "is_exact": True, "why": why}


def _verdict(
    path: Path, format: str, words: Mapping[str, Any], header: Mapping[str, str], entries: Mapping[str, Entry]
) -> dict[str, Any]:
    """Return whether an audit reads a file, whether it computes all that it says, and why."""
    try:
        if path.is_dir():
            require_sound(path)
        agreed(path, words, entries)
    except UserError as error:
        return {"is_read": False, "why": str(error)}
    left = _left_out(format, words, header, entries)
    if left:
        return {"is_read": True, "is_exact": False, "why": f"weights are those of the file; {left} not repeated"}
    return _good(ROUNDS if rounds(format, words, entries) else EXACT)


def _left_out(format: str, words: Mapping[str, Any], header: Mapping[str, str], names: Iterable[str]) -> str:
    """Return what a tool does besides where the file runs, that an audit says and does not repeat."""
    if format == "modelopt" and modelopt.rounds_cache(words):
        return "keys and values are kept in fewer bits where it runs, which is"
    inputs = (
        (format == "bitsandbytes" and any(name.endswith(".SCB") for name in names))
        or (format == "torchao" and any(map(torchao.rounds_activations, header.values())))
        or (format == "quanto" and quanto.rounds_activations(words))
    )
    return "inputs of layers are rounded where it runs, which is" if inputs else ""


def _tool(words: Mapping[str, Any], header: Mapping[str, str]) -> str:
    """Return which tool wrote a file, as far as its configuration or its head says so."""
    producer = words.get("producer")
    if isinstance(producer, dict):
        return " ".join(str(value) for value in producer.values())
    method = str(words.get("quant_method") or header.get("format", ""))
    version = words.get("autoround_version") or words.get("version")
    return f"{method} {version}" if method and version else method


def _recorded(header: Mapping[str, str]) -> list[str]:
    import json

    layers = json.loads(header.get("layers", "[]"))
    return [str(each.get("name")) for each in layers if isinstance(each, dict)]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:197]}..."


def _gguf(path: Path) -> Inspection:
    layers: list[Layer] = []
    plain: list[Plain] = []
    words: dict[str, object] = {}
    unread: set[str] = set()
    for file in files_of(path):
        head = gguf_head_of(memoryview(content_of(file)))
        words = words or dict(head.words)
        for each in head.tensors:
            if each.kind in KINDS:
                layers.append(_block_layer(each))
            else:
                kind = FLOATS.get(each.kind, UNREAD.get(each.kind, f"type {each.kind}"))
                unread |= set() if each.kind in FLOATS else {kind}
                plain.append(Plain(each.name, kind, each.shape))
    said = {name: _short(value) for name, value in words.items()}
    tool = _short(words.get("general.quantized_by", words.get("general.architecture", "")))
    found = Inspection(str(path), "GGUF of llama.cpp", GGUF, tool, (), "", tuple(layers), tuple(plain), said)
    why = f"tensors of {', '.join(sorted(unread))} are not read" if unread else EXACT
    return replace(found, is_read=not unread, is_exact=not unread, why=why)


def _block_layer(tensor: Described) -> Layer:
    kind = KINDS[tensor.kind]
    weights, size, group = BLOCKS[kind]
    count = 1
    for each in tensor.shape:
        count *= each
    return Layer(tensor.name.removesuffix(".weight"), count, 8 * size / weights, group, "in each block", kind=kind)


__all__ = ["GRAPH", "Inspection", "inspect"]
