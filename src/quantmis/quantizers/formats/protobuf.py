"""The wire format of Protocol Buffers, as far as ONNX files need it (protobuf.dev/programming-guides/encoding).

A message is a list of fields; a field is a number and a whole number, or a number and bytes, which may be a message
again. What a field means is not in the file, so messages are read by numbers.
"""

from collections.abc import Iterator

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
LONGEST_VARINT = 10

Field = int | memoryview


def message(data: memoryview) -> dict[int, list[Field]]:
    r"""Return the fields of a message by number; `ValueError` where it is damaged.

    >>> found = message(memoryview(b"\x08\x96\x01\x12\x02hi"))
    >>> found[1], bytes(found[2][0])
    ([150], b'hi')
    """
    fields: dict[int, list[Field]] = {}
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        value, at = _value(data, at, key & 7)
        fields.setdefault(key >> 3, []).append(value)
    return fields


def varints(data: memoryview) -> Iterator[int]:
    """Yield the whole numbers of a packed field, two's complement in 64 bits."""
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield whole(value)


def whole(value: int) -> int:
    """Return a whole number that is kept in 64 bits, with its sign."""
    return value - 2**64 if value >= 2**63 else value


def _value(data: memoryview, at: int, kind: int) -> tuple[Field, int]:
    if kind == VARINT:
        return _varint(data, at)
    size = {EIGHT_BYTES: 8, FOUR_BYTES: 4}.get(kind, 0)
    if kind == BYTES:
        size, at = _varint(data, at)
    elif not size:
        raise ValueError(f"a field of kind {kind}")
    if at + size > len(data):
        raise ValueError(f"a field ends before its {size} bytes")
    return data[at : at + size], at + size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(data[at : at + LONGEST_VARINT]):
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, at + place + 1
    raise ValueError("a number does not end")
