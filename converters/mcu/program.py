"""What a model becomes on the way to C: values in memory and calls of kernels, in order.

    Graph ── lower (ops/*) ──> Program ── plan_memory ──> offsets ── emit ──> model.h, model.c

Rules:
    * Everything is frozen. A call names values by index; a value is a span of bytes in the arena.
    * A call's constants are the members of one C struct, in the order of the struct in `ep_kernels.h`.
    * Two values that may share memory (a reshape, an operator that works in place) say so; nothing else does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


DTYPE_BYTES = {"bool": 1, "int8": 1, "uint8": 1, "int16": 2, "int32": 4, "float32": 4}
"""Types that a value may have, and the bytes an element takes."""
C_TYPES = {
    "bool": "uint8_t", "int8": "int8_t", "uint8": "uint8_t",
    "int16": "int16_t", "int32": "int32_t", "float32": "float",
}  # fmt: skip
"""The same types in C; a truth value is a byte of 0 or 1."""


@dataclass(frozen=True)
class Value:
    """A tensor that a kernel reads or writes: in the arena, or in flash where it is constant.

    Attributes:
        index: Its index in the program.
        name: Its name in the model.
        shape: Its shape.
        dtype: "bool", "int8", "uint8", "int16", "int32" or "float32".
        scale: Its scale; None where it is not quantized.
        zero_point: Its zero point.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int = 0

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """Bytes in the arena."""
        return self.elements * DTYPE_BYTES[self.dtype]


@dataclass(frozen=True, eq=False)
class Table:
    """A constant array in flash.

    Attributes:
        c_type: Type of its elements in C: "int8_t", or a struct's name for rows of several numbers.
        data: [n] or, for a struct, [n, members]; of objects where whole and real numbers mix.
    """

    c_type: str
    data: np.ndarray


@dataclass(frozen=True)
class Struct:
    """Members of a nested C struct, in order."""

    members: Mapping[str, int]


@dataclass(frozen=True)
class View:
    """Where a value lies inside another.

    Attributes:
        value: The other one.
        offset: Bytes from its start.
    """

    value: int
    offset: int = 0


@dataclass(frozen=True)
class Call:
    """One call of a kernel.

    Attributes:
        label: The operator and its shapes, for people.
        operator: Index of the operator in the model.
        kernel: The C function.
        struct: The C type of its constants.
        constants: The members of that struct by name.
        inputs: Values that it reads.
        outputs: Values that it writes.
        in_place: Pairs (input, output) that may share memory.
        scratch_bytes: Bytes of the arena that the kernel may use while it runs; its last argument if not 0.
        macs: Multiply-accumulates.
    """

    label: str
    operator: int
    kernel: str
    struct: str
    constants: Mapping[str, int | float | Table | Struct]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    in_place: tuple[tuple[int, int], ...] = ()
    scratch_bytes: int = 0
    macs: int = 0


@dataclass(frozen=True)
class Program:
    """A whole model.

    Attributes:
        values: All values, by index.
        calls: All calls, in order.
        inputs: Values that the caller fills.
        outputs: Values that the caller reads.
        views: Value to the place in another whose bytes it is: reshapes, slices, parts of a concatenation.
        constants: Values that lie in flash, with their data: operands of kernels that take any tensor there.
        state: Values that keep their bytes from one run to the next, with those they begin with, uint8 [n].
    """

    values: tuple[Value, ...]
    calls: tuple[Call, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    views: Mapping[int, View] = field(default_factory=dict)
    constants: Mapping[int, Table] = field(default_factory=dict)
    state: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)

    def root(self, value: int) -> int:
        """Return the value that owns the bytes."""
        return self.place(value).value

    def place(self, value: int) -> View:
        """Return where a value lies inside the one that owns the bytes."""
        offset = 0
        while value in self.views:
            offset += self.views[value].offset
            value = self.views[value].value
        return View(value, offset)
