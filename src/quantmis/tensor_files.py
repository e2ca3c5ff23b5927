"""Files of weights before anything of them is loaded: what they say of themselves, which files belong to one, digests.

Every part of a digest is put in with its length, so that no two files share one. What a file says of its tensors must
fit its own size: shapes and offsets are compared before a byte is read, names may come once, and JSON is read strictly
(no key twice, no NaN).
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from quantmis.errors import UserError, require
from quantmis.files import content_of, opened

BLOCK = 2**20
START = 9
"""Bytes that tell what kind of file one is."""

BITS = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}
"""Bits of a number of each type that safetensors files have."""

LARGEST_HEAD = 10**8
"""Bytes of the longest head of a safetensors file; the library has the same ceiling."""

LARGEST_JSON = 10**8
GGUF, LITERT = b"GGUF", b"TFL3"
PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf")
"""How llama.cpp calls the parts of a model, from 1 up."""
MOST_PARTS = 1000
SAVE_AGAIN = "save it again, or copy it again from where it came"
WORDS_ALONE = (".md", ".png", ".svg", ".jpg", ".pdf", ".html")
UNREAD = ("license", "notice", "readme")
"""What lies in a folder of weights for people to read, and may change without the model doing so."""


@dataclass(frozen=True)
class Entry:
    """Hold what a safetensors file says of a tensor: its type, its shape, and the bytes of it from `begin` to `end`."""

    kind: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Head:
    """Hold the head of a safetensors file: its words, its tensors by name, and where their bytes start."""

    words: Mapping[str, str]
    tensors: Mapping[str, Entry]
    start: int


def strict_json(content: bytes, name: str) -> Any:
    """Return what JSON says; `UserError` for a key that comes twice, NaN, or what is no JSON in UTF-8.

    >>> strict_json(b'{"a": 1}', "config.json")
    {'a': 1}
    """
    require(len(content) <= LARGEST_JSON, f"{name} is longer than {LARGEST_JSON} bytes")
    try:
        return json.loads(content, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name} is no JSON: {error or type(error).__name__}", hint=SAVE_AGAIN) from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} comes twice")
    return mapping


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")


def head_of(path: Path) -> Head:
    """Return the head of a safetensors file; `UserError` where it is none, or its shapes do not fit its bytes."""
    with opened(path) as file:
        length = os.fstat(file.fileno()).st_size
        size = int.from_bytes(file.read(8), "little")
        fits = length >= 8 and 2 <= size <= min(LARGEST_HEAD, length - 8)
        require(fits, f"{path} is no safetensors file, or is damaged: its head does not fit", hint=SAVE_AGAIN)
        words = strict_json(file.read(size), f"the head of {path}")
    require(isinstance(words, dict), f"{path} is no safetensors file: its head is no table", hint=SAVE_AGAIN)
    notes = words.pop("__metadata__", {}) or {}
    plain = isinstance(notes, dict) and all(isinstance(value, str) for value in notes.values())
    require(plain, f"{path} is damaged: its __metadata__ are no words", hint=SAVE_AGAIN)
    tensors = {name: _entry(path, name, each) for name, each in words.items()}
    _require_filled(path, tensors, length - 8 - size)
    return Head(notes, tensors, 8 + size)


def _entry(path: Path, name: str, words: Any) -> Entry:
    try:
        kind, shape, (begin, end) = str(words["dtype"]), tuple(words["shape"]), words["data_offsets"]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged: it says of {name!r} {words!r}"[:200], hint=SAVE_AGAIN) from error
    if kind not in BITS:  # messages are made where they are needed: a file can have very many tensors
        raise UserError(f"{path}: {name!r} is of type {kind!r}, which is not read here")
    sizes = (*shape, begin, end)
    if not all(type(each) is int and 0 <= each < 2**48 for each in sizes):
        raise UserError(f"{path} is damaged: {name!r} is {sizes}", hint=SAVE_AGAIN)
    bits = prod(shape) * BITS[kind]
    if bits != 8 * (end - begin):
        there = f"{name!r} of shape {list(shape)} takes {bits // 8} bytes, and {end - begin} are there"
        raise UserError(f"{path} is damaged: {there}", hint=SAVE_AGAIN)
    return Entry(kind, shape, begin, end)


def _require_filled(path: Path, tensors: Mapping[str, Entry], length: int) -> None:
    """Raise `UserError` unless tensors follow one another without a gap and fill the file."""
    at = 0
    for begin, end in sorted((each.begin, each.end) for each in tensors.values()):
        if begin != at:
            raise UserError(f"{path} is damaged: its tensors overlap, or leave a gap at byte {at}", hint=SAVE_AGAIN)
        at = end
    require(at == length, f"{path} is damaged: its tensors fill {at} of {length} bytes", hint=SAVE_AGAIN)


def entry(name: str, kind: str, shape: tuple[int, ...], size: int) -> bytes:
    """Return what goes before the bytes of a tensor in a digest: name, type, shape and size, and their own length."""
    words = json.dumps([name, kind, list(shape), size]).encode()
    return len(words).to_bytes(8, "little") + words


def looks_like_pickle(start: bytes) -> bool:
    """Say whether a file begins as a bare pickle does, told by its first nine bytes.

    The length of the head of a safetensors file can begin so too, and a brace follows it; and a LiteRT file.
    """
    return start[:1] == b"\x80" and start[8:9] != b"{" and not looks_like_litert(start)


def looks_like_litert(start: bytes) -> bool:
    """Say whether a file begins as a LiteRT file does: with the place of its first table, then its sign."""
    return start[4:8] == LITERT


def looks_like_onnx(start: bytes) -> bool:
    """Say whether a file begins as an ONNX file does: with its version, then its producer, graph or imports.

    The header of a safetensors file can begin so too, and goes on with a brace.
    """
    return (
        start[:1] == b"\x08"
        and start[8:9] != b"{"
        and start[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x28", b"\x32", b"\x3a", b"\x42")
    )


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, or of all files that make a model: a folder's, ONNX's data, GGUF's parts.

    Of more files than one, names and sizes go in too. Raises `UserError` where one of them is no file.
    """
    digest = hashlib.sha256()
    files = files_of(path)
    for file in files:
        alone = files == [path]
        digest.update(b"" if alone else f"{file.name}\0{file.stat().st_size}\0".encode(errors="surrogateescape"))
        for block in _blocks(file):
            digest.update(block)
    return digest.hexdigest()


def files_of(path: Path) -> list[Path]:
    """Return the files that make the model at `path`: a folder's but words for people, ONNX's data, GGUF's parts."""
    if path.is_dir():
        return sorted(each for each in path.iterdir() if each.is_file() and _counts(each.name.lower()))
    with opened(path) as file:
        start = file.read(START)
    if start.startswith(GGUF):
        return gguf_parts(path)
    if looks_like_openvino(path):
        return [path, openvino_data(path)]
    return [path, *onnx_data(path)] if looks_like_onnx(start) else [path]


def _counts(name: str) -> bool:
    return not name.startswith((".", *UNREAD)) and not name.endswith(WORDS_ALONE)


def _blocks(file: Path) -> Iterator[bytes]:
    with opened(file) as stream:
        while block := stream.read(BLOCK):
            yield block


def gguf_parts(path: Path) -> list[Path]:
    """Return the GGUF files of a model of which `path` is the first, or that one alone; `UserError` for a later one."""
    name = PART.fullmatch(path.name)
    if name is None or int(name[3]) < 2:
        return [path]
    first = f"{name[1]}-00001-of-{name[3]}.gguf"
    require(int(name[2]) == 1, f"{path} is part {int(name[2])} of {int(name[3])} of a model", hint=f"name {first}")
    count = int(name[3])
    there = [
        path.with_name(f"{name[1]}-{number:05}-of-{name[3]}.gguf") for number in range(1, min(count, MOST_PARTS) + 1)
    ]
    missing = [each.name for each in there if not each.is_file()]
    require(not missing and count <= MOST_PARTS, f"{path}: the model has {count} parts, and {missing[:1]} is missing")
    return there


def looks_like_openvino(path: Path) -> bool:
    """Say whether a file is a network of OpenVINO: XML whose root is `net`."""
    with opened(path) as file:
        start = file.read(256)
    return start.startswith(b"<?xml") and b"<net " in start


def openvino_data(path: Path) -> Path:
    """Return the file beside a network of OpenVINO that holds its numbers."""
    data = path.with_suffix(".bin")
    require(data.is_file() and not data.is_symlink(), f"{path}: its numbers, {data.name}, are no file beside it")
    return data


def onnx_data(path: Path) -> list[Path]:
    """Return the files beside an ONNX file that hold tensors of it, in the order of their names.

    Raises `UserError` for data that lies elsewhere, or that a graph inside of the graph reads.
    """
    model = onnx_model(content_of(path), str(path))
    return sorted({beside(path, each) for each in model.graph.initializer if each.data_location == 1})


def onnx_model(content: bytes, name: str) -> Any:
    """Return the `onnx.ModelProto` of a file's content, without the data beside it; `UserError` where it is damaged."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise UserError(f"{name}: ONNX files are read by onnx", hint="pip install 'quantmis[onnx]'") from error
    try:
        return onnx.load_model_from_string(content)
    except (DecodeError, ValueError, RuntimeError) as error:
        raise UserError(f"{name} is damaged, or no ONNX file: {error}", hint=SAVE_AGAIN) from error


def beside(path: Path, tensor: Any) -> Path:
    """Return the file beside an ONNX file that an initial tensor of it is in."""
    place = next((each.value for each in tensor.external_data if each.key == "location"), "")
    plain = bool(place) and Path(place).name == place and "\\" not in place and place not in (".", "..")
    require(
        plain,
        f"{path}: the tensor {tensor.name!r} is in {place!r}, which is no file beside it",
        hint="save the model with its data in one file beside it, or inside",
    )
    file = path.parent / place
    require(file.is_file() and not file.is_symlink(), f"{path}: its data {place!r} is no file beside it")
    return file
