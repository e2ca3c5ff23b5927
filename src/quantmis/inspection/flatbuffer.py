"""Flatbuffers, the container of LiteRT files: tables of numbered slots, read with every offset held against the bytes.

The library flatbuffers follows what it reads; a file from elsewhere may say anything. Parts may be shared in a file, so
that a small one could be read as a large one: what is read is bounded by a multiple of its length.
"""

from dataclasses import dataclass

import numpy as np

from quantmis.errors import require

READINGS = 16
"""How often all bytes of a file may be read; shared tables of slots are read several times in sound ones."""

SLACK = 2**16
MOST_TABLES = 2**18
"""Tables of one kind; models have some thousands of tensors and operators."""


class Bytes:
    """Hold the bytes of a file, and how many may still be read."""

    def __init__(self, content: bytes):
        self._content = memoryview(content)
        self._left = READINGS * len(content) + SLACK

    def part(self, begin: int, size: int) -> memoryview:
        """Return `size` bytes from `begin` on; `UserError` where they are not there, or too much was read."""
        there = 0 <= begin <= begin + size <= len(self._content)
        require(there, f"its tables point at bytes {begin} to {begin + size} of {len(self._content)}")
        self._left -= size
        require(self._left >= 0, "its tables point at the same bytes again and again")
        return self._content[begin : begin + size]

    def unsigned(self, at: int, size: int = 4) -> int:
        """Return the whole number that is written at a place."""
        return int.from_bytes(self.part(at, size), "little")


@dataclass(frozen=True)
class Table:
    """Hold a table: the bytes of the file, and where the table and each of its slots lie (0: the slot is empty)."""

    content: Bytes
    at: int
    slots: tuple[int, ...]

    def number(self, slot: int, kind: str = "<i4", default: int = 0) -> int:
        """Return a number of a NumPy `kind`, or the default where it is not there."""
        place = self._place(slot)
        return int(self._array(place, kind, 1)[0]) if place else default

    def numbers(self, slot: int, kind: str = "<i4") -> np.ndarray:
        """Return a vector of numbers of a NumPy `kind`, which is empty where it is not there."""
        begin, count = self._vector(slot)
        return self._array(begin, kind, count)

    def raw(self, slot: int) -> memoryview:
        """Return a vector of bytes."""
        return self.content.part(*self._vector(slot))

    def text(self, slot: int) -> str:
        """Return a text, in which bytes that are none stand as a sign of their own; it ends with a byte of zero."""
        begin, count = self._vector(slot)
        require(not begin or self.content.part(begin + count, 1)[0] == 0, f"the text at byte {begin} has no end")
        return str(self.content.part(begin, count), "utf-8", "replace")

    def table(self, slot: int) -> "Table | None":
        """Return the table in a slot, None where it is empty."""
        place = self._place(slot)
        return _table(self.content, place + self.content.unsigned(place)) if place else None

    def tables(self, slot: int) -> list["Table"]:
        """Return a vector of tables."""
        begin, count = self._vector(slot)
        require(count <= MOST_TABLES, f"{count} tables stand in one place, and {MOST_TABLES} may")
        offsets = self._array(begin, "<u4", count)
        return [_table(self.content, begin + 4 * index + int(offset)) for index, offset in enumerate(offsets)]

    def require_known(self, count: int, what: str) -> None:
        """Raise `UserError` where slots beyond the first `count` are filled: what they say is not known here."""
        more = [index for index in range(count, len(self.slots)) if self.slots[index]]
        require(not more, f"slot {more[:1]} of {what} is not known here", hint="it may change what the model computes")

    def _place(self, slot: int) -> int:
        offset = self.slots[slot] if slot < len(self.slots) else 0
        return self.at + offset if offset else 0

    def _vector(self, slot: int) -> tuple[int, int]:
        place = self._place(slot)
        begin = place + self.content.unsigned(place) if place else 0
        return (begin + 4, self.content.unsigned(begin)) if place else (0, 0)

    def _array(self, begin: int, kind: str, count: int) -> np.ndarray:
        return np.frombuffer(self.content.part(begin, count * np.dtype(kind).itemsize), kind)


def root_of(content: bytes) -> Table:
    """Return the first table of a flatbuffer; `UserError` where it is not inside of the bytes."""
    own = Bytes(content)
    return _table(own, own.unsigned(0))


def _table(content: Bytes, at: int) -> Table:
    """Return the table at a place, whose slots are listed before or after it, and end inside of it."""
    distance = int.from_bytes(content.part(at, 4), "little", signed=True)
    start = at - distance
    length, size = content.unsigned(start, 2), content.unsigned(start + 2, 2)
    sound = length >= 4 and length % 2 == 0 and size >= 4
    require(sound, f"the table at byte {at} is damaged")
    slots = np.frombuffer(content.part(start + 4, length - 4), "<u2")
    content.part(at, size)
    require(not len(slots) or int(slots.max()) < size, f"the table at byte {at} ends before its slots")
    return Table(content, at, tuple(map(int, slots)))
