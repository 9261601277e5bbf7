"""The type in which an operator computes: what decides how fast, and at what cost, it multiplies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from edgepack.converters.graph import Graph, Operator

ComputingDtype: TypeAlias = Literal["int8", "float16", "float32"]
_DTYPES: dict[str, ComputingDtype] = {
    "int2": "int8", "int4": "int8", "int8": "int8", "uint8": "int8",
    "float16": "float16", "bfloat16": "float16", "float32": "float32",
}  # fmt: skip


def computing_dtype(graph: Graph, operator: Operator) -> ComputingDtype | None:
    """Return the type in which an operator of the main subgraph computes; None for any other (int16, int64).

    It is that of its data, but int8 where the weights are: float data on int8 weights is quantized on the way
    in, by XNNPACK and the built-in kernels alike. 16-bit data on int8 weights is neither.
    """
    inputs = [tensor for tensor in graph.main.input_tensors(operator)[:2] if tensor is not None]
    dtypes = [tensor.dtype for tensor in inputs or graph.main.output_tensors(operator)]
    known = [_DTYPES.get(dtype) for dtype in dtypes]
    if "int8" in known and "int16" not in dtypes:
        return "int8"
    return known[0] if known else None
