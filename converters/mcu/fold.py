"""Operators whose results are known before the model runs: shapes, and what is computed from constants.

    read_graph ──> Graph ── fold_constants ──> Graph ── lower

A converter writes the shape of a tensor as a chain (SHAPE, STRIDED_SLICE, PACK) that ends in a RESHAPE. Every
shape is fixed here, so the chain is a constant, and what only it used is gone.

Rules:
    * Only integers and truth values that are not quantized are computed; any constant may be moved.
    * What cannot be folded stays, and is lowered like any other operator.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.ops.slice import strided_range

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from edgepack.converters.graph import Graph, Operator, Subgraph, Tensor

    Arrays = Sequence[NDArray[Any]]

_MOST_ELEMENTS = 1 << 16
"""A larger result is left to the model: it would take flash where it takes none."""
_COMPUTED = ("int32", "int64", "bool")


def fold_constants(graph: Graph) -> Graph:
    """Return the graph without the operators whose results are known."""
    return replace(graph, subgraphs=tuple(_folded(subgraph) for subgraph in graph.subgraphs))


def _folded(subgraph: Subgraph) -> Subgraph:
    tensors, operators = list(subgraph.tensors), []
    for operator in subgraph.operators:
        results = _results(operator, tensors)
        if results is None:
            operators.append(operator)
            continue
        for index, data in zip(operator.outputs, results, strict=True):
            stored = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            tensors[index] = replace(tensors[index], stored=stored)
    return replace(subgraph, tensors=tuple(tensors), operators=tuple(operators))


def _results(operator: Operator, tensors: Sequence[Tensor]) -> list[NDArray[Any]] | None:
    """Return the outputs of an operator; None where they are not known, or not what the file says."""
    if min(operator.inputs, default=-1) < 0:
        return None
    sources, outputs = [tensors[i] for i in operator.inputs], [tensors[i] for i in operator.outputs]
    if any(tensor.quantization is not None or tensor.elements > _MOST_ELEMENTS for tensor in outputs):
        return None
    found = _evaluated(operator, sources, outputs)
    if found is None or [array.size for array in found] != [tensor.elements for tensor in outputs]:
        return None
    return [
        array.astype(tensor.dtype).reshape(tensor.shape) for array, tensor in zip(found, outputs, strict=True)
    ]


def _evaluated(operator: Operator, sources: Sequence[Tensor], outputs: Sequence[Tensor]) -> Arrays | None:
    if operator.op == "SHAPE":
        return [np.array(sources[0].shape)]
    evaluate = _EVALUATE.get(operator.op)
    data = [tensor.data for tensor in sources] if evaluate else []
    known = [array for array in data if array is not None]
    computed = operator.op not in _ARITHMETIC or all(t.dtype in _COMPUTED for t in (*sources, *outputs))
    if evaluate is None or len(known) < len(sources) or not computed:
        return None
    try:
        return evaluate(operator, known)
    except (IndexError, ValueError, TypeError, KeyError, ConversionError):
        return None  # lowering says what is wrong with it


def _strided_slice(operator: Operator, data: Arrays) -> Arrays:
    source, *parts = data
    options = operator.options
    if options["ellipsis_mask"] or options["new_axis_mask"] or options["offset"]:
        raise ValueError
    bounds = zip(*(part.reshape(-1).tolist() for part in parts), source.shape, strict=True)
    ranges = [
        strided_range(axis, begin, end, stride, size, options)
        for axis, (begin, end, stride, size) in enumerate(bounds)
    ]
    return [source[np.ix_(*(part.begin + part.step * np.arange(part.length) for part in ranges))]]


def _slice(_: Operator, data: Arrays) -> Arrays:
    source, begins, sizes = data
    parts = zip(begins.reshape(-1).tolist(), sizes.reshape(-1).tolist(), strict=True)
    return [source[tuple(slice(begin, None if size == -1 else begin + size) for begin, size in parts)]]


def _gather(operator: Operator, data: Arrays) -> Arrays:
    if operator.options["batch_dims"]:
        raise ValueError
    return [np.take(data[0], data[1], axis=operator.options["axis"])]


def _floor_divide(_: Operator, data: Arrays) -> Arrays:
    if not data[1].all():
        raise ValueError
    return [np.floor_divide(data[0], data[1])]


def _binary(function: Callable[..., NDArray[Any]]) -> Callable[[Operator, Arrays], Arrays]:
    return lambda _, data: [function(data[0], data[1])]


_ARITHMETIC: Mapping[str, Callable[[Operator, Arrays], Arrays]] = {
    "ADD": _binary(np.add),
    "CAST": lambda _, data: [data[0]],
    "FLOOR_DIV": _floor_divide,
    "MAXIMUM": _binary(np.maximum),
    "MINIMUM": _binary(np.minimum),
    "MUL": _binary(np.multiply),
    "REDUCE_PROD": lambda _, data: [np.prod(data[0], axis=tuple(data[1].reshape(-1).tolist()))],
    "SUB": _binary(np.subtract),
}
_EVALUATE: Mapping[str, Callable[[Operator, Arrays], Arrays]] = {
    **_ARITHMETIC,
    "BROADCAST_TO": lambda _, data: [np.broadcast_to(data[0], data[1].reshape(-1).tolist())],
    "CONCATENATION": lambda op, data: [np.concatenate(data, axis=op.options["axis"])],
    "EXPAND_DIMS": lambda _, data: [data[0]],
    "FILL": lambda _, data: [np.full(data[0].reshape(-1).tolist(), data[1].reshape(-1)[0])],
    "GATHER": _gather,
    "PACK": lambda op, data: [np.stack(data, axis=op.options["axis"])],
    "RESHAPE": lambda _, data: [data[0]],
    "SLICE": _slice,
    "SQUEEZE": lambda _, data: [data[0]],
    "STRIDED_SLICE": _strided_slice,
    "TRANSPOSE": lambda _, data: [data[0].transpose(data[1].reshape(-1).tolist())],
}
FOLDED = ("SHAPE",)
"""Operators that never reach the device."""
