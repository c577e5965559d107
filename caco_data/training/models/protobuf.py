"""Encoding and decoding of protobuf messages, as far as ONNX files need it."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

#: Value of a field.
Value = int | float | str | bytes
#: Wire types: variable-length integer, 8 bytes, length-delimited, 4 bytes.
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def _varint(value: int) -> bytes:
    out = bytearray()
    value &= (1 << 64) - 1
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_field(number: int, value: Value) -> bytes:
    """Encode one field: integers as varint, floats in 4 bytes, text and bytes with their length."""
    if isinstance(value, float):
        return _varint(number << 3 | _FIXED32) + struct.pack("<f", value)
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def message(*fields: tuple[int, Value | Sequence[int] | Sequence[str] | Sequence[bytes]]) -> bytes:
    """Encode a message from pairs of field number and value; sequences are repeated fields."""
    out = []
    for number, value in fields:
        values = [value] if isinstance(value, (int, float, str, bytes)) else value
        out += [encode_field(number, one) for one in values]
    return b"".join(out)


def decode(data: bytes | memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the fields of a message: integers, or the bytes of all other types.

    Raises
    ------
    ValueError
        When the bytes are no message.
    """
    view, at = memoryview(data), 0
    while at < len(view):
        key, at = _read_varint(view, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _read_varint(view, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = _read_varint(view, at)
        else:
            length = {_FIXED64: 8, _FIXED32: 4}.get(wire, -1)
        if length < 0 or at + length > len(view):
            raise ValueError("a damaged protobuf message")
        yield number, view[at : at + length]
        at += length


def _read_varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(view) or shift > 63:
            raise ValueError("a damaged protobuf message")
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
