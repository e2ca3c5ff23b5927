"""Flatbuffers from elsewhere: what points outside of the bytes, or again and again at the same ones, is refused."""

import struct

import pytest

from quantmis.errors import UserError
from quantmis.inspection.flatbuffer import root_of


def table(slots: bytes, fields: bytes, offsets: tuple[int, ...] = (4,)) -> bytes:
    """Return a file of one table, whose list of slots stands before it."""
    listed = struct.pack(f"<HH{len(offsets)}H", 4 + 2 * len(offsets), 4 + len(fields), *offsets)
    return struct.pack("<I", 4 + len(listed)) + listed + struct.pack("<i", len(listed)) + fields + slots


NUMBER = table(b"", struct.pack("<i", 7))
TEXT = table(struct.pack("<I5sx", 5, b"hello"), struct.pack("<I", 4))


def test_numbers_texts_and_what_is_absent_are_read():
    assert (root_of(NUMBER).number(0), root_of(NUMBER).number(3, default=5)) == (7, 5)
    assert root_of(TEXT).text(0) == "hello"
    assert root_of(TEXT).numbers(2).tolist() == []
    assert root_of(TEXT).table(1) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "point at bytes"),
        (struct.pack("<I", 2**31), "point at bytes"),
        (TEXT.replace(b"\x05\0\0\0hello", b"\xff\xff\xff\x7fhello"), "point at bytes"),
        (TEXT[:-1] + b"!", "has no end"),
        (table(b"", struct.pack("<i", 7), offsets=(90,)), "ends before its slots"),
        (NUMBER[:8] + struct.pack("<i", 2**30) + NUMBER[12:], "point at bytes"),
    ],
)
def test_what_points_outside_of_the_bytes_is_refused(content: bytes, words: str):
    with pytest.raises(UserError, match=words):
        root_of(content).text(0)


def test_a_slot_that_is_not_known_is_refused():
    root_of(NUMBER).require_known(1, "a number")
    with pytest.raises(UserError, match=r"slot \[0\] of a number is not known"):
        root_of(NUMBER).require_known(0, "a number")


def test_more_tables_than_any_model_has_are_refused():
    count = 2**18 + 1
    content = table(struct.pack("<I", count) + bytes(4 * count), struct.pack("<I", 4))
    with pytest.raises(UserError, match="262145 tables stand in one place"):
        root_of(content).tables(0)


def test_a_small_file_is_not_read_as_a_large_one():
    count, text = 1_000, b"x" * 50_000
    inner = table(struct.pack("<I", len(text)) + text + b"\0", struct.pack("<I", 4))[4:]
    start = 4 + 4 * count  # of the inner file, after the vector that points at its one table again and again
    offsets = struct.pack(f"<{count}I", *(start - 4 - 4 * index + 6 for index in range(count)))
    root = root_of(table(struct.pack("<I", count) + offsets + inner, struct.pack("<I", 4)))
    with pytest.raises(UserError, match="again and again"):
        [each.text(0) for each in root.tables(0)]
    assert root_of(table(struct.pack("<I", 1) + struct.pack("<I", 10) + inner, struct.pack("<I", 4))).tables(0)
