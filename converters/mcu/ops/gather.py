"""GATHER along one dimension, with constant or computed indices."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.ops.moves import axis_of
from edgepack.converters.mcu.ops.shapes import label_of, require_dtype, require_shape
from edgepack.converters.mcu.program import DTYPE_BYTES, Call

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of a GATHER.

    Raises:
        ConversionError: Types that the kernel does not take, or a constant index that is out of range.
    """
    source, indices = (subgraph.tensors[i] for i in operator.inputs[:2])
    output = subgraph.tensors[operator.outputs[0]]
    require_dtype(operator, indices, "int32")
    require_dtype(operator, output, source.dtype)
    axis = axis_of(operator, source, operator.options["axis"])
    batch = operator.options["batch_dims"]
    batch += len(indices.shape) if batch < 0 else 0
    if not 0 <= batch <= min(axis, len(indices.shape)) or source.shape[:batch] != indices.shape[:batch]:
        shapes = f"'{source.name}' {list(source.shape)} and '{indices.name}' {list(indices.shape)}"
        msg = f"GATHER: {shapes} do not share their first {batch} dimensions."
        raise ConversionError(msg, remedy="Convert the model again with every shape fixed.")
    shape = source.shape
    require_shape(operator, output, (*shape[:axis], *indices.shape[batch:], *shape[axis + 1 :]))
    data = indices.data
    if data is not None and data.size and not 0 <= data.min() <= data.max() < shape[axis]:
        found = f"'{indices.name}' takes {data.min()} to {data.max()}"
        msg = f"GATHER: {found} of {shape[axis]} in '{source.name}'."
        raise ConversionError(msg, remedy="Correct the indices in the model and convert it again.")
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel="ep_gather_s32",
        struct="ep_gather",
        constants={
            "batches": math.prod(shape[:batch]),
            "outer": math.prod(shape[batch:axis]),
            "axis": shape[axis],
            "count": math.prod(indices.shape[batch:]),
            "inner_bytes": math.prod(shape[axis + 1 :]) * DTYPE_BYTES[source.dtype],
        },
        inputs=(source.index, indices.index),
        outputs=(output.index,),
    )
