"""Graph to Program: each operator is checked and becomes a kernel call, or a view that costs nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.ops import add, average_pool_2d, conv_2d, fully_connected, softmax
from edgepack.converters.mcu.program import C_TYPES, Call, Program, Table, Value
from edgepack.converters.mcu.requantize import scale_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edgepack.converters.graph import Graph, Operator, Subgraph, Tensor

LOWERINGS: Mapping[str, Callable[[Subgraph, Operator], Call]] = {
    "ADD": add.lower,
    "AVERAGE_POOL_2D": average_pool_2d.lower_average,
    "CONV_2D": conv_2d.lower,
    "DEPTHWISE_CONV_2D": conv_2d.lower_depthwise,
    "FULLY_CONNECTED": fully_connected.lower,
    "MAX_POOL_2D": average_pool_2d.lower_max,
    "SOFTMAX": softmax.lower,
}
VIEWS = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
"""Operators whose output is their first input's bytes."""


def lower(graph: Graph) -> Program:
    """Return the program of a model's main subgraph.

    Raises:
        ConversionError: An operator, a type or a shape that no kernel takes, with the operator's name.
    """
    subgraph = graph.main
    work = _Work(subgraph)
    for operator in subgraph.operators:
        work.add(operator)
    return Program(
        values=tuple(_value(tensor) for tensor in subgraph.tensors),
        calls=tuple(work.calls),
        inputs=subgraph.inputs,
        outputs=subgraph.outputs,
        same=work.same,
        constants=work.constants(),
    )


@dataclass
class _Work:
    subgraph: Subgraph
    calls: list[Call] = field(default_factory=list)
    same: dict[int, int] = field(default_factory=dict)

    def add(self, operator: Operator) -> None:
        if operator.op in VIEWS:
            self.same[operator.outputs[0]] = operator.inputs[0]
            return
        lowering = LOWERINGS.get(operator.op)
        if lowering is None:
            output = self.subgraph.tensors[operator.outputs[0]]
            known = ", ".join(sorted([*LOWERINGS, *VIEWS]))
            msg = f"Operator {operator.index}, {operator.label} (output '{output.name}'), has no kernel in C."
            raise ConversionError(msg, remedy=f"Use operators that have one: {known}.")
        self.calls.append(lowering(self.subgraph, operator))

    def constants(self) -> dict[int, Table]:
        """Return the tensors in the file that kernels read as they read any other."""
        found = {}
        for call in self.calls:
            for value in call.inputs:
                root = value
                while root in self.same:
                    root = self.same[root]
                tensor = self.subgraph.tensors[root]
                if tensor.data is not None:
                    found[root] = Table(C_TYPES[tensor.dtype], tensor.data.reshape(-1))
        return found


def _value(tensor: Tensor) -> Value:
    quantized = tensor.quantization is not None and tensor.quantization.scale.size == 1
    scale, zero_point = scale_of(tensor) if quantized and not tensor.is_constant else (None, 0)
    real = None if scale is None else float(scale)
    return Value(tensor.index, tensor.name, tensor.shape, tensor.dtype, real, zero_point)
