"""Which operators compute at another precision than asked: by an override, or for want of a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.graph import DTYPE_BITS
from edgepack.converters.tflite.precision import WEIGHTED_OPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.converters.graph import Graph, Operator
    from edgepack.targets.model import Precision

_BORDERS = frozenset({"QUANTIZE", "DEQUANTIZE"})
_FLOAT = {32: "float32", 16: "float16", 8: "dynamic-int8", 4: "int4"}
_INTEGER = {"int8": "int8", "int16": "int16x8"}


def operators_kept(graph: Graph, asked: Precision) -> dict[str, str]:
    """Return the output tensor of each operator that is not at `asked`, to its own precision."""
    return {
        name: found
        for name, found, weighted in _operators(graph)
        if not _as_asked(found, asked, weighted=weighted)
    }


def operator_precisions(graph: Graph) -> dict[str, str]:
    """Return the output tensor of each operator to the operator's precision."""
    return {name: found for name, found, _ in _operators(graph)}


def _operators(graph: Graph) -> Iterator[tuple[str, str, bool]]:
    """Yield output tensor, precision and whether it multiplies weights, of operators on real numbers."""
    producers = graph.main.producers()
    for operator in graph.operators:
        if operator.op in _BORDERS or not operator.outputs:
            continue
        output = graph.tensors[operator.outputs[0]]
        bits = _weight_bits(graph, operator, producers)
        found = _precision(output.dtype, bits)
        if found is not None:
            yield output.name, found, bits is not None


def _weight_bits(graph: Graph, operator: Operator, producers: dict[int, Operator]) -> int | None:
    """Return the bits of an operator's weights; None where it multiplies none."""
    if operator.op not in WEIGHTED_OPS:
        return None
    weights = [graph.main.stored_weight(index, producers) for index in operator.inputs]
    bits = [DTYPE_BITS[w.dtype] for w in weights if w and len(w.shape) >= 2 and w.dtype in DTYPE_BITS]
    return min(bits, default=None)


def _precision(activation: str, weight_bits: int | None) -> str | None:
    """Return an operator's precision; None for results that are no real numbers, such as shapes."""
    if activation == "float32":
        return "float32" if weight_bits is None else _FLOAT.get(weight_bits)
    if activation in _INTEGER and weight_bits == 4:
        return "int4"
    return _INTEGER.get(activation)


def _as_asked(found: str, asked: Precision, *, weighted: bool) -> bool:
    if found == asked or weighted:
        return found == asked
    if asked in ("float16", "dynamic-int8"):
        return found == "float32"  # only weights change
    return asked == "int4" and found in ("int8", "float32")  # int4 is a precision of weights
