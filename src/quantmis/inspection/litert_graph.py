"""What is in a LiteRT file (google-ai-edge/LiteRT, schema.fbs): tensors, operators, and the buffers of constants.

Everything that the interpreter follows is followed here first, and held against the bytes that are there: it trusts a
file. What a slot says that is not known here is refused.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from quantmis.errors import UserError, require
from quantmis.files import content_of
from quantmis.inspection.flatbuffer import Table, root_of
from quantmis.inspection.litert_operators import NAMES
from quantmis.tensor_files import SAVE_AGAIN

CODES = {9: ("INT8", 8), 3: ("UINT8", 8), 17: ("INT4", 4), 20: ("UINT4", 4), 19: ("INT2", 2)}
"""Types of numbers that codes of weights are, by their numbers in the schema, and their bits."""

PLAIN = {0: ("FLOAT32", "<f4"), 1: ("FLOAT16", "<f2"), 10: ("FLOAT64", "<f8"), 2: ("INT32", "<i4"), 4: ("INT64", "<i8")}
"""Types of other numbers that are read, and what NumPy calls them."""

MOST_DIMENSIONS = 8
BLOCKWISE = 2
NO_TENSOR = -1
LARGEST = 2**30
"""Numbers that a tensor may hold, whatever the size of the file; and a multiple of its bytes."""
GROWTH = 64


@dataclass(frozen=True, eq=False)
class Quantization:
    """Hold how codes stand for numbers: scales and zero points along an `axis`, or those of blocks in other tensors."""

    scale: np.ndarray
    zero: np.ndarray
    axis: int
    block: int = 0
    block_scales: int = NO_TENSOR


@dataclass(frozen=True, eq=False)
class Tensor:
    """Hold a tensor: its number in the graph is its place; `data` are its bytes, none where it is computed."""

    name: str
    shape: tuple[int, ...]
    kind: int
    buffer: int
    data: memoryview
    quantization: Quantization | None

    @property
    def is_coded(self) -> bool:
        """Whether these are constant codes with scales."""
        return self.kind in CODES and len(self.data) > 0 and self.quantization is not None

    @property
    def is_weight(self) -> bool:
        """Whether these are the codes of a weight, of two dimensions or more."""
        return self.is_coded and len(self.shape) > 1 and prod(self.shape) > 1

    @property
    def called(self) -> str:
        """The name of the type of its numbers."""
        known = CODES.get(self.kind) or PLAIN.get(self.kind)
        return known[0] if known else f"type {self.kind}"


@dataclass(frozen=True)
class Operator:
    """Hold an operator by its name, and the numbers of the tensors that it reads and makes."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """Hold a graph, which takes and returns tensors by their numbers."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def readers(self) -> dict[int, str]:
        """Return the names of the operators that read tensors first, by their numbers; of dequantized values too."""
        readers: dict[int, str] = {}
        for each in reversed(self.operators):
            passes = each.name == "DEQUANTIZE" and each.outputs
            name = readers.get(each.outputs[0], "") if passes else each.name
            readers |= dict.fromkeys(each.inputs, name)
        return readers


@dataclass(frozen=True, eq=False)
class Model:
    """Hold the graphs of a file, who says to have made it, and its other words."""

    graphs: tuple[Graph, ...]
    description: str
    words: dict[str, str]


def model_of(path: Path) -> Model:
    """Return what is in a LiteRT file; `UserError` where it is damaged, or says what is not understood."""
    return model_in(content_of(path), str(path))


def model_in(content: bytes, name: str) -> Model:
    """Return what `model_of` does of a file's content."""
    try:
        return _model(root_of(content), content)
    except UserError as error:
        raise UserError(f"{name}: {error}", hint=error.hint or SAVE_AGAIN) from error
    except (ValueError, IndexError, OverflowError) as error:
        raise UserError(f"{name} is damaged: {error}", hint=SAVE_AGAIN) from error


def _model(root: Table, content: bytes) -> Model:
    root.require_known(8, "the model")
    buffers = [_buffer(each, content) for each in root.tables(4)]
    codes = [_code(each) for each in root.tables(1)]
    graphs = tuple(_graph(each, buffers, codes, len(content)) for each in root.tables(2))
    root.numbers(5)
    _require_signatures(root.tables(7))
    words: dict[str, str] = {}
    for each in root.tables(6):
        text = bytes(buffers[each.number(1, "<u4")][:200])
        words[each.text(0)] = str(text.rstrip(b"\0"), "utf-8", "replace")
    return Model(graphs, root.text(3), words)


def _buffer(table: Table, content: bytes) -> memoryview:
    """Return the bytes of a constant, which lie after the flatbuffer in large files."""
    table.require_known(3, "a buffer")
    begin, size = table.number(1, "<u8"), table.number(2, "<u8")
    return table.content.part(begin, size) if begin > 1 else table.raw(0)


def _code(table: Table) -> str:
    """Return the name of an operator; the first slot is from before there were more than 127."""
    table.require_known(4, "an operator code")
    custom, number = table.text(1), max(table.number(0, "i1"), table.number(3))
    return f"CUSTOM {custom!r}" if custom else NAMES[number] if 0 <= number < len(NAMES) else f"number {number}"


def _graph(table: Table, buffers: Sequence[memoryview], codes: Sequence[str], length: int) -> Graph:
    table.require_known(6, "a graph")
    limit = max(LARGEST, GROWTH * length)
    tensors = _named([_tensor(each, buffers, limit) for each in table.tables(0)])
    operators = tuple(_operator(each, codes) for each in table.tables(3))
    inputs, outputs = _integers(table, 1), _integers(table, 2)
    table.text(4)
    numbers = {*inputs, *outputs, *(number for each in operators for number in (*each.inputs, *each.outputs))}
    there = all(NO_TENSOR <= number < len(tensors) for number in numbers)
    require(there and NO_TENSOR not in (*inputs, *outputs), "an operator reads a tensor that is not there")
    return Graph(tensors, operators, inputs, outputs)


def _named(tensors: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """Return tensors with names of their own: the number is added to one that is empty or comes again."""
    seen: set[str] = set()
    result: list[Tensor] = []
    for number, each in enumerate(tensors):
        name = f"{each.name}#{number}" if each.name in seen or not each.name else each.name
        seen.add(name)
        result.append(Tensor(name, each.shape, each.kind, each.buffer, each.data, each.quantization))
    return tuple(result)


def _tensor(table: Table, buffers: Sequence[memoryview], limit: int) -> Tensor:
    table.require_known(11, "a tensor")
    name, shape, buffer = table.text(3), _integers(table, 0), table.number(2, "<u4")
    sound = len(shape) <= MOST_DIMENSIONS and all(size >= 0 for size in shape) and prod(shape) <= limit
    require(sound, f"{name} has the shape {list(shape[:MOST_DIMENSIONS])}")
    require(buffer < len(buffers), f"{name} is in a buffer that is not there")
    require(table.table(6) is None, f"{name} is sparse, which is not read")
    require(not table.tables(9), f"{name} is a list of tensors, which is not read")
    require(not table.number(10, "<u4"), f"{name} is in a file of its own, which is not read")
    table.numbers(7)
    own = table.table(4)
    return Tensor(
        name, shape, table.number(1, "i1"), buffer, buffers[buffer], _quantization(name, shape, own) if own else None
    )


def _quantization(name: str, shape: tuple[int, ...], table: Table) -> Quantization | None:
    table.require_known(7, f"the quantization of {name}")
    for slot in (0, 1):
        table.numbers(slot, "<f4")
    scale, zero, axis = table.numbers(2, "<f4"), table.numbers(3, "<i8"), table.number(6)
    details, kind = table.table(5), table.number(4, "u1")
    require(kind in (0, BLOCKWISE), f"{name} is quantized in a way of its own ({kind}), which is not read")
    if kind == BLOCKWISE and details is not None:
        details.require_known(3, f"the blocks of {name}")
        scales, zeros, block = details.number(0), details.number(1), details.number(2)
        require(block > 0 and zeros == NO_TENSOR, f"{name}: blocks of {block} with zero points are not read")
        return Quantization(scale, zero, 0, block, scales)
    if not len(scale):
        return None
    fits = len(scale) == 1 or (0 <= axis < len(shape) and shape[axis] == len(scale))
    require(fits and len(zero) in (0, len(scale)), f"{name}: {len(scale)} scales do not go with {list(shape)}")
    return Quantization(scale, zero, axis)


def _operator(table: Table, codes: Sequence[str]) -> Operator:
    """Return an operator, its options followed as the interpreter does: vectors of shapes are all that they hold."""
    table.require_known(14, "an operator")
    name = codes[table.number(0, "<u4")]
    options, number = table.table(4), {"RESHAPE": 0, "SQUEEZE": 0, "FULLY_CONNECTED": 5}.get(name)
    if options is not None and number is not None:
        options.numbers(number)
    table.raw(5)
    table.raw(7)
    table.numbers(8)
    table.table(12)
    return Operator(name, _integers(table, 1), _integers(table, 2))


def _integers(table: Table, slot: int) -> tuple[int, ...]:
    return tuple(int(each) for each in table.numbers(slot))


def _require_signatures(tables: Iterable[Table]) -> None:
    """Follow the names that inputs and outputs have for programs; `UserError` where they are damaged."""
    for each in tables:
        each.text(2)
        for named in (*each.tables(0), *each.tables(1)):
            named.text(0)
