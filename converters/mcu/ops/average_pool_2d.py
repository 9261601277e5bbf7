"""AVERAGE_POOL_2D and MAX_POOL_2D, int8."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.mcu.ops.shapes import label_of, require_dtype
from edgepack.converters.mcu.ops.window import window_of
from edgepack.converters.mcu.program import Call
from edgepack.converters.mcu.requantize import activation_range

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph


def lower_average(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of an average pooling.

    Raises:
        ConversionError: Types or shapes that the kernel does not take.
    """
    return _lower(subgraph, operator, "ep_average_pool_2d_s8")


def lower_max(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of a maximum pooling. Raises as `lower_average` does."""
    return _lower(subgraph, operator, "ep_max_pool_2d_s8")


def _lower(subgraph: Subgraph, operator: Operator, kernel: str) -> Call:
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    require_dtype(operator, source, "int8")
    require_dtype(operator, output, "int8")
    options = operator.options
    low, high = activation_range(options["fused_activation_function"], output)
    size = options["filter_height"], options["filter_width"]
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel=kernel,
        struct="ep_pool_2d",
        constants={
            "window": window_of(operator, source, output, size),
            "activation_min": low,
            "activation_max": high,
        },
        inputs=(source.index,),
        outputs=(output.index,),
    )
