"""The model that a device's peak rate is measured with: one FULLY_CONNECTED, written byte by byte.

`y[rows, columns] = x[rows, depth] * weights[columns, depth]^T`, in int8 or float32: nearly all of its time
goes into the runtime's own matrix multiplication. Whoever measures gives weights without zeros, so that no
kernel for sparse weights can skip work.

Source: TFLite `schema.fbs` (field numbers and codes below); FlatBuffers, "Internals".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Union

_FULLY_CONNECTED, _FULLY_CONNECTED_OPTIONS = 9, 8
_FLOAT32, _INT8 = 0, 9
# Version 4 is the first that takes int8, and 1 is enough for float32.
_OPERATOR_VERSIONS = {"float32": 1, "int8": 4}


@dataclass
class _Vector:
    """Values of one `struct` format, each `item_bytes` long; aligned to `align` bytes."""

    data: bytes
    item_bytes: int
    align: int = 4


@dataclass
class _Table:
    """Fields by number: integers, and what they point to."""

    fields: dict[int, _Value] = field(default_factory=dict)


_Value = Union[int, bytes, _Vector, _Table, "list[_Table]"]


def fully_connected(dtype: str, rows: int, depth: int, columns: int, weights: bytes) -> bytes:
    """Return a `.tflite` with one FULLY_CONNECTED.

    Args:
        dtype: "int8" or "float32", of everything.
        rows: Rows of the input.
        depth: Length of a row, which is summed over.
        columns: Length of a row of the output.
        weights: [columns, depth] in `dtype`, little-endian.
    """
    kind = _INT8 if dtype == "int8" else _FLOAT32
    # Scales of values in -1..1, whose sums spread by the root of their number; zero points of 0.
    scales = (1 / 128, 1 / 128, depth**0.5 / 128)
    shapes = ((rows, depth), (columns, depth), (rows, columns))
    tensors = []
    for buffer, (shape, scale, name) in enumerate(zip(shapes, scales, (b"x", b"weights", b"y"))):
        fields: dict[int, _Value] = {0: _integers(*shape), 1: kind, 2: buffer == 1, 3: name}
        if dtype == "int8":
            zero_point = _Vector(struct.pack("<q", 0), 8, 8)
            fields[4] = _Table({2: _Vector(struct.pack("<f", scale), 4), 3: zero_point})
        tensors.append(_Table(fields))
    code = _Table({0: _FULLY_CONNECTED, 2: _OPERATOR_VERSIONS[dtype], 3: _FULLY_CONNECTED})
    operator = _Table(
        {0: 0, 1: _integers(0, 1, -1), 2: _integers(2), 3: _FULLY_CONNECTED_OPTIONS, 4: _Table()}
    )
    subgraph = _Table({0: tensors, 1: _integers(0), 2: _integers(2), 3: [operator]})
    buffers = [_Table(), _Table({0: _Vector(weights, 1, 16)})]
    return _file(_Table({0: 3, 1: [code], 2: [subgraph], 3: b"edgepack roofline", 4: buffers}), b"TFL3")


def _integers(*values: int) -> _Vector:
    return _Vector(struct.pack(f"<{len(values)}i", *values), 4)


def _file(root: _Table, identifier: bytes) -> bytes:
    """Return a flatbuffer. Whatever is pointed to stands behind what points to it."""
    data = bytearray(8)
    data[4:8] = identifier
    waiting: list[tuple[int, _Value]] = [(0, root)]
    while waiting:
        pointer, value = waiting.pop(0)
        place = _append(data, value, waiting)
        struct.pack_into("<I", data, pointer, place - pointer)
    return bytes(data)


def _append(data: bytearray, value: _Value, waiting: list[tuple[int, _Value]]) -> int:
    """Append a value, note what it points to, and return where it begins."""
    if isinstance(value, _Table):
        return _append_table(data, value, waiting)
    if isinstance(value, list):
        place = _append_vector(data, _Vector(bytes(4 * len(value)), 4))
        waiting += [(place + 4 + 4 * index, table) for index, table in enumerate(value)]
        return place
    if isinstance(value, bytes):  # a string: its length does not count the zero at its end
        place = _append_vector(data, _Vector(value, 1))
        data.append(0)
        return place
    assert isinstance(value, _Vector)
    return _append_vector(data, value)


def _append_vector(data: bytearray, vector: _Vector) -> int:
    data += bytes(-(len(data) + 4) % max(4, vector.align))
    place = len(data)
    data += struct.pack("<I", len(vector.data) // vector.item_bytes) + vector.data
    return place


def _append_table(data: bytearray, table: _Table, waiting: list[tuple[int, _Value]]) -> int:
    """Append a vtable and its table, in which every field has four bytes, also one that needs fewer."""
    count = max(table.fields, default=-1) + 1
    slots = {number: 4 + 4 * position for position, number in enumerate(sorted(table.fields))}
    data += bytes(-(len(data) + 4 + 2 * count) % 4)
    vtable = len(data)
    data += struct.pack("<HH", 4 + 2 * count, 4 + 4 * len(slots))
    data += struct.pack(f"<{count}H", *(slots.get(number, 0) for number in range(count)))
    place = len(data)
    data += struct.pack("<i", place - vtable)
    for _, value in sorted(table.fields.items()):
        if isinstance(value, int):
            data += struct.pack("<i", value)
        else:
            waiting.append((len(data), value))
            data += bytes(4)
    return place
