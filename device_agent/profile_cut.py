"""Cut a `.tflite` off after an operator, in place, with nothing but the standard library.

A flatbuffer's vector begins with its length, and pointers point forward only. So a model that ends earlier is
the same file with a smaller number of operators, and with a new list of outputs appended to it: what
operators behind the cut, or the caller, would have read.

Source: TFLite `schema.fbs` (field numbers below); FlatBuffers, "Internals" (tables, vtables, vectors).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_MODEL_SUBGRAPHS, _MODEL_SIGNATURES = 2, 7
_SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS, _SUBGRAPH_OPERATORS = 1, 2, 3
_OPERATOR_INPUTS, _OPERATOR_OUTPUTS = 1, 2


@dataclass(frozen=True)
class Cuttable:
    """A model whose first subgraph can be cut.

    Attributes:
        model: Bytes of the `.tflite`.
        outputs_field: Where the subgraph points to its outputs.
        operators: Where its list of operators begins.
        signatures: Where the model's list of signatures begins; None where it has none.
        reads: Tensors that each operator reads; -1 for an absent one.
        writes: Tensors that each operator writes.
        inputs: Tensors that the caller writes.
        outputs: Tensors that the caller reads.
    """

    model: bytes
    outputs_field: int
    operators: int
    signatures: int | None
    reads: tuple[tuple[int, ...], ...]
    writes: tuple[tuple[int, ...], ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def cut_after(self, index: int) -> bytes | None:
        """Return the model that ends with an operator; None where nothing would be left to read of it.

        After -1, the model without operators, the caller reads what it has written.
        """
        alive = self._alive_after(index) if index >= 0 else list(self.inputs)
        if not alive:
            return None
        data = bytearray(self.model)
        data += bytes(-len(data) % 4)
        struct.pack_into("<I", data, self.operators, index + 1)
        struct.pack_into("<I", data, self.outputs_field, len(data) - self.outputs_field)
        if self.signatures is not None:
            struct.pack_into("<I", data, self.signatures, 0)
        data += struct.pack(f"<I{len(alive)}i", len(alive), *alive)
        return bytes(data)

    def _alive_after(self, index: int) -> list[int]:
        written = {tensor for tensors in self.writes[: index + 1] for tensor in tensors}
        read = {tensor for tensors in self.reads[index + 1 :] for tensor in tensors}
        return sorted(written & (read | set(self.outputs)))


def read_cuttable(model: bytes) -> Cuttable:
    """Find what has to be known of a model to cut it.

    Args:
        model: Bytes of a `.tflite` that the runtime has loaded already: its offsets are in order.

    Raises:
        ValueError: It is no model that can be cut.
    """
    try:
        root = struct.unpack_from("<I", model)[0]
        subgraph = _elements(model, _target(model, root, _MODEL_SUBGRAPHS))[0]
        operators = _target(model, subgraph, _SUBGRAPH_OPERATORS)
        tables = _elements(model, operators)
        return Cuttable(
            model=model,
            outputs_field=_field(model, subgraph, _SUBGRAPH_OUTPUTS) or _missing("outputs"),
            operators=operators,
            signatures=_optional_target(model, root, _MODEL_SIGNATURES),
            reads=tuple(_integers(model, table, _OPERATOR_INPUTS) for table in tables),
            writes=tuple(_integers(model, table, _OPERATOR_OUTPUTS) for table in tables),
            inputs=_integers(model, subgraph, _SUBGRAPH_INPUTS),
            outputs=_integers(model, subgraph, _SUBGRAPH_OUTPUTS),
        )
    except (struct.error, IndexError) as err:
        message = "the model's flatbuffer cannot be read"
        raise ValueError(message) from err


def _field(model: bytes, table: int, number: int) -> int | None:
    """Return where a table keeps a field; None where it has not got it."""
    vtable = table - struct.unpack_from("<i", model, table)[0]
    entry = 4 + 2 * number
    if entry >= struct.unpack_from("<H", model, vtable)[0]:
        return None
    offset: int = struct.unpack_from("<H", model, vtable + entry)[0]
    return table + offset if offset else None


def _optional_target(model: bytes, table: int, number: int) -> int | None:
    """Return where the vector behind a field begins; None where there is none."""
    field = _field(model, table, number)
    if field is None:
        return None
    distance: int = struct.unpack_from("<I", model, field)[0]
    return field + distance


def _target(model: bytes, table: int, number: int) -> int:
    return _optional_target(model, table, number) or _missing(f"field {number}")


def _elements(model: bytes, vector: int) -> list[int]:
    """Return where the tables of a vector begin."""
    count = struct.unpack_from("<I", model, vector)[0]
    places = range(vector + 4, vector + 4 + 4 * min(count, len(model)), 4)
    return [place + struct.unpack_from("<I", model, place)[0] for place in places]


def _integers(model: bytes, table: int, number: int) -> tuple[int, ...]:
    vector = _optional_target(model, table, number)
    if vector is None:
        return ()
    count = struct.unpack_from("<I", model, vector)[0]
    return struct.unpack_from(f"<{min(count, len(model))}i", model, vector + 4)


def _missing(what: str) -> int:
    message = f"the model has no {what}"
    raise ValueError(message)
