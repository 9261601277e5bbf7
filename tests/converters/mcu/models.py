"""Small `.tflite` files for tests: one operator, with shapes, scales and zero points named directly.

    model = model_of("ADD", [spec(1, 2, scale=0.5), spec(scale=0.25, data=[1, 2])], [spec(1, 2, scale=1)])

Several operators, or several subgraphs, are built with `build`: a list of `Op` over tensors by their index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import ArrayLike, NDArray

from edgepack.converters.tflite.writer import _pack

_OPTIONS = {
    "BATCH_MATMUL": "BatchMatMulOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "L2_NORMALIZATION": "L2NormOptions",
    "MEAN": "ReducerOptions",
    "SUM": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "REDUCE_PROD": "ReducerOptions",
    "REDUCE_ANY": "ReducerOptions",
    "REDUCE_ALL": "ReducerOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "BATCH_TO_SPACE_ND": "BatchToSpaceNDOptions",
    "SPACE_TO_BATCH_ND": "SpaceToBatchNDOptions",
    "PADV2": "PadV2Options",
    "SELECT_V2": "SelectV2Options",
    "SVDF": "SVDFOptions",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTMOptions",
}
"""Operators whose table of options is not simply named after them."""
_ENUMS = {
    "fused_activation_function": "ActivationFunctionType",
    "padding": "Padding",
    "mode": "MirrorPadMode",
    "weights_format": "FullyConnectedOptionsWeightsFormat",
}


@dataclass(frozen=True, eq=False)
class Spec:
    """A tensor: shape, type, quantization, and data where it is constant."""

    shape: tuple[int, ...]
    dtype: str = "int8"
    scale: float | Sequence[float] | None = None
    zero_point: int | Sequence[int] = 0
    data: NDArray[Any] | None = None
    axis: int = 0
    is_variable: bool = False
    name: str = ""


@dataclass(frozen=True)
class Op:
    """An operator over tensors by index; options by their names in snake case, enums by their TFLite name."""

    op: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    options: Mapping[str, Any] = field(default_factory=dict)


def spec(
    *shape: int,
    dtype: str = "int8",
    scale: float | Sequence[float] | None = None,
    zero_point: int | Sequence[int] = 0,
    data: ArrayLike | None = None,
    axis: int = 0,
    name: str = "",
) -> Spec:
    """Return a tensor; with `data` a constant, whose shape is the data's where none is given."""
    values = None if data is None else np.asarray(data, dtype)
    if values is not None:
        values = values.reshape(shape) if shape else values
        shape = values.shape
    return Spec(shape, dtype, scale, zero_point, values, axis, name=name)


def model_of(
    op: str, inputs: Sequence[Spec | None], outputs: Sequence[Spec], options: Mapping[str, Any] | None = None
) -> bytes:
    """Return a model of one operator; its inputs that are not constant are the model's. None: left out."""
    present = [tensor for tensor in inputs if tensor is not None]
    numbers = iter(range(len(present)))
    places = [-1 if tensor is None else next(numbers) for tensor in inputs]
    results = list(range(len(present), len(present) + len(outputs)))
    return build([*present, *outputs], [Op(op, places, results, options or {})])


def build(
    tensors: Sequence[Spec],
    operators: Sequence[Op],
    inputs: Sequence[int] | None = None,
    outputs: Sequence[int] | None = None,
    more: Sequence[tuple[Sequence[Spec], Sequence[Op]]] = (),
) -> bytes:
    """Return a model.

    Args:
        tensors: Tensors of the main subgraph.
        operators: Its operators, in order.
        inputs: What the caller fills; by default what nothing writes and no constant is.
        outputs: What the caller reads; by default what is written and nothing reads.
        more: Tensors and operators of further subgraphs, which have neither inputs nor outputs.
    """
    written = {i for operator in operators for i in operator.outputs}
    read = {i for operator in operators for i in operator.inputs if i >= 0}
    free = [i for i, t in enumerate(tensors) if t.data is None and not t.is_variable and i not in written]
    inputs = [i for i in free if i in read] if inputs is None else inputs
    outputs = sorted(written - read) if outputs is None else outputs
    model = schema.ModelT(version=3, buffers=[schema.BufferT()], operatorCodes=[], subgraphs=[])
    model.description = "edgepack test"
    _add_subgraph(model, tensors, operators, inputs, outputs)
    for other_tensors, other_operators in more:
        _add_subgraph(model, other_tensors, other_operators, [], [])
    return _pack(model, 1 << 12)


def join(models: Sequence[tuple[str, Sequence[Spec | None], Sequence[Spec], Mapping[str, Any]]]) -> bytes:
    """Return one model of several independent operators, each given as `model_of` takes it.

    Inputs and outputs of the model are those of the operators, in order.
    """
    tensors: list[Spec] = []
    operators = []
    for op, inputs, outputs, options in models:
        places = []
        for tensor in inputs:
            places.append(-1 if tensor is None else len(tensors))
            tensors += [] if tensor is None else [tensor]
        results = range(len(tensors), len(tensors) + len(outputs))
        tensors += outputs
        operators.append(Op(op, places, results, options))
    return build(tensors, operators)


def every_int8(count: int = 1) -> list[NDArray[np.int8]]:
    """Return a batch of one for each of `count` inputs of shape [256]: every value that an int8 has."""
    return [np.arange(-128, 128, dtype=np.int8).reshape(1, 256)] * count


def assert_same(first: Sequence[NDArray[Any]], second: Sequence[NDArray[Any]], label: object = "") -> None:
    """Fail where two runs' outputs differ in a byte; the message names the output."""
    assert len(first) == len(second)
    for number, (one, two) in enumerate(zip(first, second, strict=True)):
        np.testing.assert_array_equal(one, two, err_msg=f"output {number} {label}")


def _add_subgraph(
    model: Any,
    tensors: Sequence[Spec],
    operators: Sequence[Op],
    inputs: Sequence[int],
    outputs: Sequence[int],
) -> None:
    named = [tensor if tensor.name else replace(tensor, name=f"t{i}") for i, tensor in enumerate(tensors)]
    model.subgraphs.append(
        schema.SubGraphT(
            name="main" if not model.subgraphs else f"subgraph_{len(model.subgraphs)}",
            tensors=[_tensor(model, tensor) for tensor in named],
            operators=[_operator(model, operator) for operator in operators],
            inputs=np.array(inputs, np.int32),
            outputs=np.array(outputs, np.int32),
        )
    )


def _tensor(model: Any, tensor: Spec) -> Any:
    buffer = 0
    if tensor.data is not None:
        stored = np.frombuffer(np.ascontiguousarray(tensor.data).tobytes(), np.uint8)
        model.buffers.append(schema.BufferT(data=stored))
        buffer = len(model.buffers) - 1
    result = schema.TensorT(
        name=tensor.name,
        shape=np.array(tensor.shape, np.int32),
        type=getattr(schema.TensorType, tensor.dtype.upper()),
        buffer=buffer,
        isVariable=tensor.is_variable,
        hasRank=True,
    )
    if tensor.scale is not None:
        scales = np.atleast_1d(np.asarray(tensor.scale, np.float32))
        zero_points = np.broadcast_to(np.asarray(tensor.zero_point, np.int64), scales.shape).copy()
        result.quantization = schema.QuantizationParametersT(
            scale=scales, zeroPoint=zero_points, quantizedDimension=tensor.axis
        )
    return result


def _operator(model: Any, operator: Op) -> Any:
    number = getattr(schema.BuiltinOperator, operator.op)
    model.operatorCodes.append(
        schema.OperatorCodeT(builtinCode=number, deprecatedBuiltinCode=min(number, 127), version=1)
    )
    result = schema.OperatorT(
        opcodeIndex=len(model.operatorCodes) - 1,
        inputs=np.array(operator.inputs, np.int32),
        outputs=np.array(operator.outputs, np.int32),
    )
    words = operator.op.split("_")
    table = _OPTIONS.get(operator.op, "".join(word.capitalize() for word in words) + "Options")
    if hasattr(schema.BuiltinOptions, table):
        result.builtinOptionsType = getattr(schema.BuiltinOptions, table)
        result.builtinOptions = getattr(schema, f"{table}T")()
        for key, value in operator.options.items():
            _set_option(result.builtinOptions, key, value)
    elif operator.options:
        msg = f"{operator.op} has no options '{table}'"
        raise ValueError(msg)
    return result


def _set_option(options: Any, key: str, value: Any) -> None:
    first, *rest = key.split("_")
    attribute = first + "".join(word.capitalize() for word in rest)
    if not hasattr(options, attribute):
        msg = f"{type(options).__name__} has no '{attribute}': {sorted(vars(options))}"
        raise ValueError(msg)
    if isinstance(value, str):
        value = getattr(getattr(schema, _ENUMS.get(key, "TensorType")), value.upper())
    setattr(options, attribute, np.array(value, np.int32) if isinstance(value, list | tuple) else value)
