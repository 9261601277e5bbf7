"""Variables of streaming models: CALL_ONCE, VAR_HANDLE, READ_VARIABLE and ASSIGN_VARIABLE.

A variable is a value that keeps its bytes in the arena from one run to the next. What the model's other
subgraph assigns once, before the first run, is its beginning, which `<name>_init` writes.

Rules:
    * Reading and assigning are copies here, as the model says; `in_place.py` removes those that can go.
    * A variable that nothing initializes begins as its zero point, as in TFLite Micro.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.ops.moves import MOVE_BYTES
from edgepack.converters.mcu.program import DTYPE_BYTES, Call, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgepack.converters.graph import Graph, Operator, Subgraph, Tensor

VARIABLE_OPERATORS = ("ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE")
_AGAIN = "Convert the model again; its variables must have fixed shapes and constant beginnings."


class Variables:
    """The variables of a model.

    Attributes:
        values: The value of each, numbered on from the main subgraph's tensors.
        initial: Value to the bytes it begins with, uint8 [n].
    """

    def __init__(self, graph: Graph) -> None:
        """Raises ConversionError where a variable's type, shape or beginning cannot be known."""
        self._graph = graph
        self._main = graph.main
        self._handles = _handles(self._main)
        self.values: list[Value] = []
        self.initial: dict[int, NDArray[np.uint8]] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        for operator in self._main.operators:
            if operator.op in ("READ_VARIABLE", "ASSIGN_VARIABLE"):
                self._declare(operator)
        for operator in self._main.operators:
            if operator.op == "CALL_ONCE":
                self._initialize(operator)

    def lower(self, operator: Operator) -> list[Call]:
        """Return the copy that a READ_VARIABLE or ASSIGN_VARIABLE is; nothing for the other two."""
        if operator.op in ("CALL_ONCE", "VAR_HANDLE"):
            return []
        variable = self._numbers[self._handles[operator.inputs[0]]]
        value = self.values[variable - len(self._main.tensors)]
        tensor = _content(self._main, operator)
        reads = operator.op == "READ_VARIABLE"
        return [
            Call(
                label=f"{operator.label} {value.name}",
                operator=operator.index,
                kernel=MOVE_BYTES,
                struct="ep_span",
                constants={"size": value.size_bytes, "input_offset": 0, "output_offset": 0},
                inputs=(variable if reads else tensor.index,),
                outputs=(tensor.index if reads else variable,),
            )
        ]

    def _declare(self, operator: Operator) -> None:
        tensor = _content(self._main, operator)
        key = self._handles.get(operator.inputs[0])
        if key is None:
            _fail(operator, f"tensor {operator.inputs[0]} is not the output of a VAR_HANDLE")
        if tensor.dtype not in DTYPE_BYTES:
            _fail(
                operator, f"variable '{key[1]}' is {tensor.dtype}, expected one of {', '.join(DTYPE_BYTES)}"
            )
        size = math.prod(tensor.shape) * DTYPE_BYTES[tensor.dtype]
        if key not in self._numbers:
            scale, zero_point = None, 0
            if tensor.quantization is not None and tensor.quantization.scale.size == 1:
                scale, zero_point = (
                    float(tensor.quantization.scale[0]),
                    int(tensor.quantization.zero_point[0]),
                )
            number = len(self._main.tensors) + len(self.values)
            self._numbers[key] = number
            self.values.append(Value(number, key[1], tensor.shape, tensor.dtype, scale, zero_point))
            self.initial[number] = np.full(size, zero_point & 0xFF, np.uint8)
        elif self.initial[self._numbers[key]].size != size:
            _fail(operator, f"variable '{key[1]}' has other sizes elsewhere than {list(tensor.shape)}")

    def _initialize(self, operator: Operator) -> None:
        index = operator.options["init_subgraph_index"]
        if not 0 < index < len(self._graph.subgraphs):
            _fail(operator, f"subgraph {index} of {len(self._graph.subgraphs)}")
        earlier = [other.op for other in self._main.operators if other.index < operator.index]
        if "READ_VARIABLE" in earlier or "ASSIGN_VARIABLE" in earlier:
            _fail(operator, "it comes after a variable has been used")
        subgraph = self._graph.subgraphs[index]
        handles = _handles(subgraph)
        for other in subgraph.operators:
            if other.op == "VAR_HANDLE":
                continue
            if other.op != "ASSIGN_VARIABLE":
                _fail(other, f"it stands in subgraph {index}, which may only assign constants to variables")
            self._assign(other, _content(subgraph, other), handles.get(other.inputs[0], ("", "")))

    def _assign(self, operator: Operator, tensor: Tensor, key: tuple[str, str]) -> None:
        number = self._numbers.get(key)
        if number is None:
            return  # the main subgraph has no use for it
        if tensor.data is None:
            _fail(operator, f"variable '{key[1]}' begins as '{tensor.name}', which is computed")
        stored = np.frombuffer(np.ascontiguousarray(tensor.data).tobytes(), np.uint8)
        if stored.size != self.initial[number].size:
            _fail(
                operator,
                f"variable '{key[1]}' of {self.initial[number].size} bytes begins with {stored.size}",
            )
        self.initial[number] = stored


def _handles(subgraph: Subgraph) -> dict[int, tuple[str, str]]:
    """Return the tensor of each VAR_HANDLE to the variable's container and name."""
    return {
        operator.outputs[0]: (operator.options["container"] or "", operator.options["shared_name"] or "")
        for operator in subgraph.operators
        if operator.op == "VAR_HANDLE"
    }


def _content(subgraph: Subgraph, operator: Operator) -> Tensor:
    """Return the tensor that is read from a variable, or assigned to it."""
    reads = operator.op == "READ_VARIABLE"
    return subgraph.tensors[operator.outputs[0] if reads else operator.inputs[1]]


def _fail(operator: Operator, found: str) -> NoReturn:
    msg = f"Operator {operator.index}, {operator.op}: {found}."
    raise ConversionError(msg, remedy=_AGAIN)
