"""GGUF files, version 2 and 3 (ggml-org/ggml, docs/gguf.md): metadata, a list of tensors, then their bytes."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from quantmis.errors import UserError, require
from quantmis.files import content_of
from quantmis.quantizers.formats.ggml import LAYOUTS, decode
from quantmis.quantizers.formats.llama_cpp import is_unnamed, settings_of, translated
from quantmis.quantizers.record import QuantizedLayer

MAGIC = b"GGUF"
NUMBERS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9
KINDS = {
    2: "Q4_0",
    3: "Q4_1",
    6: "Q5_0",
    7: "Q5_1",
    8: "Q8_0",
    34: "TQ1_0",
    35: "TQ2_0",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    20: "IQ4_NL",
    23: "IQ4_XS",
    39: "MXFP4",
}
UNREAD = {
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    21: "IQ3_S",
    22: "IQ2_S",
    29: "IQ1_M",
    40: "NVFP4",
    41: "Q1_0",
    42: "Q2_0",
}
FLOATS = {0: np.dtype("<f4"), 1: np.dtype("<f2"), 28: np.dtype("<f8")}
BRAIN_FLOAT = 30
"""The type bfloat16, the upper half of a float."""


MOST_WEIGHTS = 8
"""Weights that a byte can hold at most."""

DEEPEST = 4
"""How often arrays of metadata may be nested."""

ALIGNMENTS = tuple(2**power for power in range(3, 17))


@dataclass(frozen=True, eq=False)
class Contents:
    """Hold the layers and other tensors of a file, and what it says of a language model's computation.

    `words`: the metadata of a file whose tensors the model that they are for has yet to name, empty for others.
    """

    layers: tuple[QuantizedLayer, ...]
    others: dict[str, Tensor]
    settings: Mapping[str, float] = field(default_factory=dict[str, float])
    words: Mapping[str, object] = field(default_factory=dict[str, object])


class Reader:
    """Read the values of a GGUF header one after the other."""

    def __init__(self, data: memoryview):
        self.data, self.at = data, len(MAGIC)

    def number(self, kind: str) -> int | float:
        """Return the next number, of a format of the module struct."""
        value = struct.unpack_from(kind, self.data, self.at)[0]
        self.at += struct.calcsize(kind)
        return value

    def whole(self, kind: str = "<Q") -> int:
        """Return the next whole number."""
        return int(self.number(kind))

    def text(self) -> str:
        """Return the next string."""
        length = self.whole()
        require(length <= len(self.data) - self.at, "a string is longer than the file")
        self.at += length
        return str(self.data[self.at - length : self.at], "utf-8")

    def value(self, kind: int, depth: int = 0) -> object:
        """Return the next value of metadata; an array is passed over, and a word says how long it is."""
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            return self._array(self.whole("<I"), self.whole(), depth)
        require(kind in NUMBERS, f"metadata of kind {kind}, which is none")
        return self.number(NUMBERS[kind])

    def _array(self, inner: int, count: int, depth: int) -> str:
        """Pass over an array; vocabularies are long and say nothing of weights."""
        require(depth < DEEPEST, "arrays of metadata are nested too deeply")
        require(count <= len(self.data) - self.at, "an array is longer than the file")
        if inner in NUMBERS:
            size = struct.calcsize(NUMBERS[inner]) * count
            require(size <= len(self.data) - self.at, "an array is longer than the file")
            self.at += size
        else:
            for _ in range(count):
                self.value(inner, depth + 1)
        return f"{count} values"

    def pairs(self, count: int) -> dict[str, object]:
        """Return the next pairs of metadata; `UserError` for a name that comes twice."""
        metadata: dict[str, object] = {}
        for _ in range(count):
            name = self.text()
            require(name not in metadata, f"its metadata has {name!r} twice")
            metadata[name] = self.value(self.whole("<I"))
        return metadata


def contents(path: Path) -> Contents:
    """Return the quantized layers and the other tensors of a GGUF file; `UserError` where it is damaged.

    Those of language models as llama.cpp writes them are named and ordered as in transformers.
    """
    try:
        return _contents(memoryview(content_of(path)))
    except UserError as error:
        raise UserError(f"{path}: {error}", hint=error.hint) from error
    except (struct.error, KeyError, ValueError, OverflowError, RuntimeError) as error:
        raise UserError(f"{path} is damaged: {error}") from error


def _contents(data: memoryview) -> Contents:
    reader = Reader(data)
    version = reader.whole("<I")
    require(version in (2, 3), f"GGUF version {version}, known are 2 and 3")
    tensors, count = reader.whole(), reader.whole()
    require(tensors + count <= len(data), f"{tensors} tensors and {count} words of metadata do not fit into the file")
    metadata = reader.pairs(count)
    _require_whole(metadata)
    described = [_description(reader) for _ in range(tensors)]
    names = {name for name, *_ in described}
    require(len(names) == len(described), "a name of a tensor comes twice")
    alignment = metadata.get("general.alignment", 32)
    require(alignment in ALIGNMENTS, f"general.alignment = {alignment!r} is no power of two from 8 to 65536")
    start = -(-reader.at // int(str(alignment))) * int(str(alignment))
    layers: list[QuantizedLayer] = []
    others: dict[str, Tensor] = {}
    for name, shape, kind, offset in described:
        at = data[start + offset :] if start + offset <= len(data) else data[:0]
        if kind in KINDS:
            layers.append(_layer(name, shape, KINDS[kind], at))
        else:
            others[name] = _floats(name, shape, kind, at)
    words = metadata if is_unnamed(tuple(layers), others, metadata) else {}
    return Contents(*translated(tuple(layers), others, metadata), settings_of(metadata), words)


def _require_whole(metadata: Mapping[str, object]) -> None:
    """Raise `UserError` for one part of a model that was split."""
    parts, number = metadata.get("split.count", 1), metadata.get("split.no", 0)
    message = f"it is one of {parts} parts of a model, that of number {number}"
    require(parts in (0, 1), message, hint="llama-gguf-split --merge puts them together")


def _description(reader: Reader) -> tuple[str, torch.Size, int, int]:
    """Return name, shape (the file has the last dimension first), type and offset of the next tensor."""
    name, dimensions = reader.text(), reader.whole("<I")
    require(1 <= dimensions <= 4, f"{name} has {dimensions} dimensions")
    sizes = [reader.whole() for _ in range(dimensions)][::-1]
    fits = all(sizes) and prod(sizes) <= MOST_WEIGHTS * len(reader.data)
    require(fits, f"{name} of shape {sizes} does not fit into the file")
    return name, torch.Size(sizes), reader.whole("<I"), reader.whole()


def _layer(name: str, shape: torch.Size, kind: str, data: memoryview) -> QuantizedLayer:
    layout = LAYOUTS[kind]
    require(shape[-1] % layout.weights == 0, f"{name}: rows of {shape[-1]} do not divide into blocks of {kind}")
    size = shape.numel() // layout.weights * layout.size
    require(len(data) >= size, f"{name} ends before its {size} bytes")
    encoded = np.frombuffer(data[:size], np.uint8).reshape(shape.numel() // shape[-1], -1)
    return decode(name.removesuffix(".weight"), encoded, kind, shape)


def _floats(name: str, shape: torch.Size, kind: int, data: memoryview) -> Tensor:
    require(
        kind in FLOATS or kind == BRAIN_FLOAT,
        f"{name} is of ggml's type {UNREAD.get(kind, kind)}, which is not read here",
        hint=f"read are {', '.join(KINDS.values())}, F64, F32, F16 and BF16",
    )
    number = FLOATS.get(kind, np.dtype("<u2"))
    size = shape.numel() * number.itemsize
    require(len(data) >= size, f"{name} ends before its {size} bytes")
    values = np.frombuffer(data[:size], number).reshape(shape)
    if kind == BRAIN_FLOAT:
        return torch.from_numpy((values.astype(np.uint32) << 16).view(np.float32))
    return torch.from_numpy(values.astype(np.float32))
