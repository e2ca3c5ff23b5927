"""The head of a GGUF file, version 2 and 3 (ggml-org/ggml, docs/gguf.md): metadata, then a list of tensors.

A model may be cut into files of which each has a head; the first has the metadata of all.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from quantmis.errors import UserError, require

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
    16: "IQ2_XXS",
    17: "IQ2_XS",
    22: "IQ2_S",
    18: "IQ3_XXS",
    21: "IQ3_S",
    19: "IQ1_S",
    29: "IQ1_M",
    39: "MXFP4",
    40: "NVFP4",
    41: "Q1_0",
}
"""The types of ggml that are read, by their numbers."""

UNREAD = {9: "Q8_1", 15: "Q8_K", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 42: "Q2_0"}
FLOATS = {0: "F32", 1: "F16", 28: "F64", 30: "BF16"}

MOST_WEIGHTS = 8
"""Weights that a byte can hold at most."""

DEEPEST = 4
"""How often arrays of metadata may be nested."""

ALIGNMENTS = tuple(2**power for power in range(3, 17))


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


@dataclass(frozen=True)
class Described:
    """Hold what a head says of a tensor: its shape, rows last, the number of its type, and where its bytes begin."""

    name: str
    shape: tuple[int, ...]
    kind: int
    begin: int


@dataclass(frozen=True)
class GgufHead:
    """Hold what a head says: words of metadata, and the tensors of the file."""

    words: Mapping[str, object]
    tensors: tuple[Described, ...]


def head_of(data: memoryview) -> GgufHead:
    """Return the head of a file, its content given; `UserError`, `struct.error` or `ValueError` where it is damaged."""
    reader = Reader(data)
    version = reader.whole("<I")
    require(version in (2, 3), f"GGUF version {version}, known are 2 and 3")
    tensors, count = reader.whole(), reader.whole()
    require(tensors + count <= len(data), f"{tensors} tensors and {count} words of metadata do not fit into the file")
    words = reader.pairs(count)
    described = [_description(reader) for _ in range(tensors)]
    require(len({each.name for each in described}) == len(described), "a name of a tensor comes twice")
    alignment = words.get("general.alignment", 32)
    require(alignment in ALIGNMENTS, f"general.alignment = {alignment!r} is no power of two from 8 to 65536")
    start = -(-reader.at // int(str(alignment))) * int(str(alignment))
    placed = [Described(each.name, each.shape, each.kind, start + each.begin) for each in described]
    return GgufHead(words, tuple(placed))


def _description(reader: Reader) -> Described:
    """Return the next tensor; the file has the last dimension first."""
    name, dimensions = reader.text(), reader.whole("<I")
    require(1 <= dimensions <= 4, f"{name} has {dimensions} dimensions")
    sizes = [reader.whole() for _ in range(dimensions)][::-1]
    fits = all(sizes) and prod(sizes) <= MOST_WEIGHTS * len(reader.data)
    require(fits, f"{name} of shape {sizes} does not fit into the file")
    return Described(name, tuple(sizes), reader.whole("<I"), reader.whole())


def require_part(path: Path, words: Mapping[str, object], number: int, count: int) -> None:
    """Raise `UserError` unless a file is the part of a model, counted from 0, that its name says."""
    parts, own = words.get("split.count", 1), words.get("split.no", 0)
    message = f"{path.name} is number {own} of {parts} parts of a model, and by its name {number} of {count}"
    hint = "keep the names that llama-gguf-split gave, or let it --merge the parts"
    require((parts or 1) == count and own == number, message, hint=hint)


def unknown_type(name: str, kind: int) -> UserError:
    """Return what to raise for a tensor of a type that is not read."""
    read = ", ".join((*KINDS.values(), *FLOATS.values()))
    return UserError(
        f"{name} is of ggml's type {UNREAD.get(kind, kind)}, which is not read here", hint=f"read are {read}"
    )


BLOCKS = {
    "Q4_0": (32, 18, 32),
    "Q4_1": (32, 20, 32),
    "Q5_0": (32, 22, 32),
    "Q5_1": (32, 24, 32),
    "Q8_0": (32, 34, 32),
    "Q2_K": (256, 84, 16),
    "Q3_K": (256, 110, 16),
    "Q4_K": (256, 144, 32),
    "Q5_K": (256, 176, 32),
    "Q6_K": (256, 210, 16),
    "TQ1_0": (256, 54, 256),
    "TQ2_0": (256, 66, 256),
    "Q1_0": (128, 18, 128),
    "IQ1_S": (256, 50, 32),
    "IQ1_M": (256, 56, 16),
    "IQ2_XXS": (256, 66, 32),
    "IQ2_XS": (256, 74, 16),
    "IQ2_S": (256, 82, 16),
    "IQ3_XXS": (256, 98, 32),
    "IQ3_S": (256, 110, 32),
    "IQ4_NL": (32, 18, 32),
    "IQ4_XS": (256, 136, 32),
    "MXFP4": (32, 17, 32),
    "NVFP4": (64, 36, 16),
}
"""Weights of a block, its bytes, and weights that share a scale, by the name of a type."""
