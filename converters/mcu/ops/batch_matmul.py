"""BATCH_MATMUL: int8 and float32, either operand transposed, batches broadcast."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.ops.broadcast import loops_of
from edgepack.converters.mcu.ops.shapes import label_of, one_dtype_of
from edgepack.converters.mcu.program import Call, Struct
from edgepack.converters.mcu.requantize import scale_of, tensor_multiplier

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph, Tensor

DTYPES = ("int8", "float32")
_MATRIX = 2


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of a product of matrices.

    Raises:
        ConversionError: Types that no kernel takes, or shapes that do not fit.

    Source: TFLite micro/kernels/batch_matmul.cc.
    """
    first, second = (subgraph.tensors[i] for i in operator.inputs[:2])
    output = subgraph.tensors[operator.outputs[0]]
    dtype = one_dtype_of(operator, (first, second, output), DTYPES)
    if any(len(tensor.shape) < _MATRIX for tensor in (first, second, output)):
        msg = f"BATCH_MATMUL (output '{output.name}'): an operand of one dimension, expected matrices."
        raise ConversionError(msg, remedy="Reshape the operands to matrices.")
    rows, depth, *steps_1 = _matrix(first, transposed=operator.options.get("adj_x", False))
    depth_2, columns, *steps_2 = _matrix(second, transposed=operator.options.get("adj_y", False))
    if depth != depth_2 or output.shape[-2:] != (rows, columns):
        found = f"{list(first.shape)} by {list(second.shape)} to {list(output.shape)}"
        msg = f"BATCH_MATMUL (output '{output.name}'): shapes {found} do not fit."
        raise ConversionError(msg, remedy="The file is damaged, or has dynamic shapes: export it again.")
    constants: dict[str, int | float | Struct] = {
        "batches": _batches(operator, first, second, output),
        "rows": rows, "depth": depth, "columns": columns,
        "first_row": steps_1[0], "first_depth": steps_1[1],
        "second_depth": steps_2[0], "second_column": steps_2[1],
    }  # fmt: skip
    if dtype == "int8":
        (scale_1, zero_1), (scale_2, zero_2), (scale, zero) = map(scale_of, (first, second, output))
        factor = tensor_multiplier(scale_1, scale_2, scale)
        constants |= {
            "first_offset": -zero_1, "second_offset": -zero_2,
            "multiplier": factor.multiplier, "shift": factor.shift, "output_offset": zero,
        }  # fmt: skip
    return Call(
        label=label_of(operator, first, output),
        operator=operator.index,
        kernel="ep_batch_matmul_s8" if dtype == "int8" else "ep_batch_matmul_f32",
        struct="ep_batch_matmul",
        constants=constants,
        inputs=(first.index, second.index),
        outputs=(output.index,),
        macs=output.elements * depth,
    )


def _matrix(tensor: Tensor, *, transposed: bool) -> tuple[int, int, int, int]:
    """Return height and width of the matrices that are multiplied, and their steps down and across."""
    height, width = tensor.shape[-2:]
    return (width, height, 1, width) if transposed else (height, width, width, 1)


def _batches(operator: Operator, first: Tensor, second: Tensor, output: Tensor) -> Struct:
    """Return the loops over matrices, with steps in elements."""
    leading = [replace(tensor, shape=tensor.shape[:-2]) for tensor in (first, second, output)]
    sizes, steps = loops_of(operator, leading[:2], leading[2])
    members = {f"size_{i}": size for i, size in enumerate(sizes)}
    for name, tensor, taken in zip(("first", "second"), (first, second), steps, strict=True):
        elements = tensor.shape[-1] * tensor.shape[-2]
        members |= {f"{name}_{i}": step * elements for i, step in enumerate(taken)}
    return Struct(members)
