"""Graph to Program: each operator is checked and becomes a kernel call, or a view that costs nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.fold import FOLDED, fold_constants
from edgepack.converters.mcu.ops import (
    activations,
    add,
    average_pool_2d,
    batch_matmul,
    cast,
    comparisons,
    concatenation,
    conv_2d,
    elementwise,
    fully_connected,
    gather,
    l2_normalization,
    lstm,
    maximum,
    mul,
    pad,
    prelu,
    quantize,
    reductions,
    resize,
    select,
    slice,
    softmax,
    space_to_batch,
    split,
    svdf,
    transpose,
    transpose_conv,
)
from edgepack.converters.mcu.ops.moves import MOVE_BYTES
from edgepack.converters.mcu.program import C_TYPES, DTYPE_BYTES, Call, Program, Table, Value, View
from edgepack.converters.mcu.requantize import scale_of
from edgepack.converters.mcu.variables import VARIABLE_OPERATORS, Variables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from edgepack.converters.graph import Graph, Operator, Subgraph, Tensor

LOWERINGS: Mapping[str, Callable[[Subgraph, Operator], Call | list[Call]]] = {
    "ABS": elementwise.lower_abs,
    "ADD": add.lower,
    "ARG_MAX": reductions.lower_arg,
    "ARG_MIN": reductions.lower_arg,
    "AVERAGE_POOL_2D": average_pool_2d.lower_average,
    "BATCH_MATMUL": batch_matmul.lower,
    "BATCH_TO_SPACE_ND": space_to_batch.lower_batch_to_space,
    "BROADCAST_TO": transpose.lower_broadcast,
    "CAST": cast.lower,
    "CONCATENATION": concatenation.lower,
    "CONV_2D": conv_2d.lower,
    "DEPTHWISE_CONV_2D": conv_2d.lower_depthwise,
    "DEPTH_TO_SPACE": transpose.lower_depth_to_space,
    "DEQUANTIZE": quantize.lower_dequantize,
    "ELU": activations.lower_elu,
    "EQUAL": comparisons.lower,
    "EXP": elementwise.lower,
    "FILL": transpose.lower_fill,
    "FULLY_CONNECTED": fully_connected.lower,
    "GATHER": gather.lower,
    "GREATER": comparisons.lower,
    "GREATER_EQUAL": comparisons.lower,
    "HARD_SWISH": activations.lower_hard_swish,
    "L2_NORMALIZATION": l2_normalization.lower,
    "LEAKY_RELU": activations.lower_leaky_relu,
    "LESS": comparisons.lower,
    "LESS_EQUAL": comparisons.lower,
    "LOG": elementwise.lower,
    "LOGICAL_AND": select.lower_logical,
    "LOGICAL_NOT": select.lower_not,
    "LOGICAL_OR": select.lower_logical,
    "LOGISTIC": activations.lower_logistic,
    "MAXIMUM": maximum.lower,
    "MAX_POOL_2D": average_pool_2d.lower_max,
    "MEAN": reductions.lower,
    "MINIMUM": maximum.lower,
    "MIRROR_PAD": pad.lower_mirror,
    "MUL": mul.lower,
    "NEG": elementwise.lower,
    "NOT_EQUAL": comparisons.lower,
    "PACK": concatenation.lower_pack,
    "PAD": pad.lower,
    "PADV2": pad.lower,
    "PRELU": prelu.lower,
    "QUANTIZE": quantize.lower,
    "REDUCE_MAX": reductions.lower_max,
    "RELU": activations.lower_relu,
    "RELU6": activations.lower_relu,
    "RELU_0_TO_1": activations.lower_relu,
    "RELU_N1_TO_1": activations.lower_relu,
    "RESIZE_BILINEAR": resize.lower_bilinear,
    "RESIZE_NEAREST_NEIGHBOR": resize.lower_nearest,
    "REVERSE_V2": transpose.lower_reverse,
    "RSQRT": elementwise.lower_rsqrt,
    "SELECT_V2": select.lower,
    "SLICE": slice.lower,
    "SOFTMAX": softmax.lower,
    "SPACE_TO_BATCH_ND": space_to_batch.lower_space_to_batch,
    "SPACE_TO_DEPTH": transpose.lower_space_to_depth,
    "SPLIT": split.lower,
    "SPLIT_V": split.lower_v,
    "SQRT": elementwise.lower,
    "STRIDED_SLICE": slice.lower_strided,
    "SUB": add.lower,
    "SUM": reductions.lower,
    "SVDF": svdf.lower,
    "TANH": activations.lower_tanh,
    "TRANSPOSE": transpose.lower,
    "TRANSPOSE_CONV": transpose_conv.lower,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm.lower,
    "UNPACK": split.lower_unpack,
}
VIEWS = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
"""Operators whose output is their first input's bytes."""


def lower(graph: Graph) -> Program:
    """Return the program of a model's main subgraph.

    Raises:
        ConversionError: An operator, a type or a shape that no kernel takes, with the operator's name.
    """
    graph = fold_constants(graph)
    work = _Work(graph.main, Variables(graph))
    for operator in graph.main.operators:
        work.add(operator)
    values = [*(_value(tensor) for tensor in graph.main.tensors), *work.variables.values]
    outputs = [work.computed(output, values) for output in graph.main.outputs]
    return Program(
        values=tuple(values),
        calls=tuple(work.calls),
        inputs=graph.main.inputs,
        outputs=tuple(outputs),
        views=work.views,
        constants=work.constants(),
        state=work.state(),
    )


# Inputs that may be absent. Source: TFLite kernels, GetOptionalInputTensor.
_OPTIONAL: Mapping[str, frozenset[int]] = {
    "CONV_2D": frozenset({2}),
    "DEPTHWISE_CONV_2D": frozenset({2}),
    "FULLY_CONNECTED": frozenset({2}),
    "SVDF": frozenset({3}),
    "TRANSPOSE_CONV": frozenset({3}),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": frozenset(range(24)),
}


def _damaged(operator: Operator, found: str) -> ConversionError:
    msg = f"Operator {operator.index}, {operator.label}, is not as TFLite defines it ({found})."
    return ConversionError(
        msg, remedy="Export the model again: the file is damaged, or not made by a converter."
    )


@dataclass
class _Work:
    subgraph: Subgraph
    variables: Variables
    calls: list[Call] = field(default_factory=list)
    views: dict[int, View] = field(default_factory=dict)

    def add(self, operator: Operator) -> None:
        missing = [place for place, tensor in enumerate(operator.inputs) if tensor < 0]
        if missing and not set(missing) <= _OPTIONAL.get(operator.op, frozenset()):
            raise _damaged(operator, f"input {missing[0]} is missing")
        try:
            self._add(operator)
        except (IndexError, KeyError, ZeroDivisionError, OverflowError, ValueError) as err:
            raise _damaged(operator, f"{type(err).__name__}: {err}") from err

    def _add(self, operator: Operator) -> None:
        if operator.op in VIEWS:
            self._view(operator)
            return
        if operator.op in VARIABLE_OPERATORS:
            self.calls += self.variables.lower(operator)
            return
        lowering = LOWERINGS.get(operator.op)
        if lowering is None:
            known = ", ".join(sorted([*LOWERINGS, *VIEWS, *FOLDED, *VARIABLE_OPERATORS]))
            output = (
                f" (output '{self.subgraph.tensors[operator.outputs[0]].name}')" if operator.outputs else ""
            )
            msg = f"Operator {operator.index}, {operator.label}{output}, has no kernel in C."
            raise ConversionError(msg, remedy=f"Use operators that have one: {known}.")
        calls = lowering(self.subgraph, operator)
        self.calls += calls if isinstance(calls, list) else [calls]

    def _view(self, operator: Operator) -> None:
        source, output = (self.subgraph.tensors[i] for i in (operator.inputs[0], operator.outputs[0]))
        if (source.elements, source.dtype) != (output.elements, output.dtype):
            shapes = f"'{source.name}' {list(source.shape)} into '{output.name}' {list(output.shape)}"
            msg = f"Operator {operator.index}, {operator.label}: {shapes}, another number of elements."
            raise ConversionError(msg, remedy="Convert the model again with every shape fixed.")
        self.views[output.index] = View(source.index)

    def computed(self, output: int, values: list[Value]) -> int:
        """Return the value of an output of the model; a constant is copied to one that lies in the arena."""
        root = output
        while root in self.views:
            root = self.views[root].value
        tensor = self.subgraph.tensors[root]
        if not tensor.is_constant:
            return output
        value = replace(values[output], index=len(values))
        values.append(value)
        self.calls.append(
            Call(
                label=f"constant {value.name}",
                operator=len(self.subgraph.operators),
                kernel=MOVE_BYTES,
                struct="ep_span",
                constants={"size": value.size_bytes, "input_offset": 0, "output_offset": 0},
                inputs=(output,),
                outputs=(value.index,),
            )
        )
        return value.index

    def state(self) -> dict[int, NDArray[np.uint8]]:
        """Return what is kept from one run to the next: variables, and tensors that an operator changes.

        Source: TFLite Micro micro_interpreter_graph.cc, ResetVariableTensors: zero, or int8's zero point.
        """
        found = dict(self.variables.initial)
        for index in {value for call in self.calls for value in call.inputs}:
            tensor = self.subgraph.tensors[index] if index < len(self.subgraph.tensors) else None
            if tensor is not None and tensor.is_variable:
                first = scale_of(tensor)[1] & 0xFF if tensor.dtype == "int8" else 0
                found[index] = np.full(tensor.elements * DTYPE_BYTES[tensor.dtype], first, np.uint8)
        return found

    def constants(self) -> dict[int, Table]:
        """Return the tensors in the file that kernels read as they read any other."""
        found = {}
        for call in self.calls:
            for value in call.inputs:
                root = value
                while root in self.views:
                    root = self.views[root].value
                tensor = self.subgraph.tensors[root] if root < len(self.subgraph.tensors) else None
                if tensor is not None and tensor.data is not None:
                    found[root] = Table(C_TYPES[tensor.dtype], tensor.data.reshape(-1))
        return found


def _value(tensor: Tensor) -> Value:
    quantized = tensor.quantization is not None and tensor.quantization.scale.size == 1
    scale, zero_point = scale_of(tensor) if quantized and not tensor.is_constant else (None, 0)
    real = None if scale is None else float(scale)
    return Value(tensor.index, tensor.name, tensor.shape, tensor.dtype, real, zero_point)
