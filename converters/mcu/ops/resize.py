"""RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR: tables say where each output row and column comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.ops.shapes import label_of, require_dtype
from edgepack.converters.mcu.program import DTYPE_BYTES, Call, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgepack.converters.graph import Operator, Subgraph, Tensor

_ONE = 1 << 10
"""Positions between pixels are in 1 / 1024. Source: TFLite reference/resize_bilinear.h."""


def lower_nearest(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of a RESIZE_NEAREST_NEIGHBOR.

    Raises:
        ConversionError: The tensors are not images of one type and batch, or both ways of centring are set.
    """
    source, output = _images(subgraph, operator)
    tables = {
        name: Table("int32_t", _nearest(operator, source.shape[axis], output.shape[axis]))
        for name, axis in (("rows", 1), ("columns", 2))
    }
    element = DTYPE_BYTES[source.dtype]
    sizes = {**_sizes(source, output), "depth_bytes": source.shape[3] * element}
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel="ep_resize_nearest_neighbor",
        struct="ep_resize_nearest",
        constants={**sizes, **tables},
        inputs=(source.index,),
        outputs=(output.index,),
    )


def lower_bilinear(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of a RESIZE_BILINEAR, int8 or float32. Raises as `lower_nearest` does."""
    source, output = _images(subgraph, operator)
    exact = source.dtype == "float32"
    if not exact:
        require_dtype(operator, source, "int8")
    between, suffix = (_between_f32, "f32") if exact else (_between_s8, "s8")
    tables = {
        name: Table(f"ep_between_{suffix}", between(operator, source.shape[axis], output.shape[axis]))
        for name, axis in (("rows", 1), ("columns", 2))
    }
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel=f"ep_resize_bilinear_{suffix}",
        struct=f"ep_resize_{suffix}",
        constants={**_sizes(source, output), "depth": source.shape[3], **tables},
        inputs=(source.index,),
        outputs=(output.index,),
    )


def _images(subgraph: Subgraph, operator: Operator) -> tuple[Tensor, Tensor]:
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    shapes = source.shape, output.shape
    ends = [(shape[0], shape[3]) if len(shape) == 4 else None for shape in shapes]
    if None in ends or ends[0] != ends[1] or 0 in (*shapes[0], *shapes[1]):
        found = f"'{source.name}' {list(source.shape)}, '{output.name}' {list(output.shape)}"
        msg = (
            f"{operator.op}: {found}; expected [batch, height, width, channels] with one batch and channels."
        )
        raise ConversionError(msg, remedy="Convert the model again with every shape fixed.")
    require_dtype(operator, output, source.dtype)
    if operator.options["align_corners"] and operator.options["half_pixel_centers"]:
        msg = f"{operator.op}: output '{output.name}' has align_corners and half_pixel_centers at once."
        raise ConversionError(msg, remedy="Choose one of the two where the model resizes.")
    return source, output


def _sizes(source: Tensor, output: Tensor) -> dict[str, int]:
    return {
        "batches": source.shape[0],
        "input_height": source.shape[1], "input_width": source.shape[2],
        "output_height": output.shape[1], "output_width": output.shape[2],
    }  # fmt: skip


def _scale(operator: Operator, size: int, out: int) -> np.float32:
    """Return the inputs from one output to the next, in single precision."""
    corners = bool(operator.options["align_corners"]) and out > 1
    scale: np.float32 = np.float32(size - corners) / np.float32(out - corners)
    return scale


def _nearest(operator: Operator, size: int, out: int) -> NDArray[np.int64]:
    """Return the nearest input of each output.

    Source: TFLite reference/resize_nearest_neighbor.h, GetNearestNeighbor.
    """
    offset = np.float32(0.5 if operator.options["half_pixel_centers"] else 0.0)
    at = (np.arange(out, dtype=np.float32) + offset) * _scale(operator, size, out)
    # Ties are rounded away from zero: adding a half in double precision is exact.
    rounded = np.floor(at.astype(np.float64) + 0.5) if operator.options["align_corners"] else np.floor(at)
    nearest: NDArray[np.int64] = np.clip(rounded.astype(np.int64), 0, size - 1)
    return nearest


def _between_s8(operator: Operator, size: int, out: int) -> NDArray[np.int64]:
    """Return low, high and fraction of each output.

    Source: TFLite reference/resize_bilinear.h, ComputeInterpolationValuesInteger.
    """
    if operator.options["align_corners"] and out > 1:
        scale = (_ONE * (size - 1) + (out - 1) // 2) // (out - 1)
    else:
        scale = (_ONE * size + out // 2) // out
    at = np.arange(out, dtype=np.int64) * scale
    if operator.options["half_pixel_centers"]:
        at += scale // 2 - _ONE // 2
    low = np.clip(at // _ONE, 0, size - 1)
    high = np.clip((at + _ONE - 1) // _ONE, 0, size - 1)
    return np.stack([low, high, at - low * _ONE], axis=1)


def _between_f32(operator: Operator, size: int, out: int) -> NDArray[np.object_]:
    """Return low, high and fraction of each output, the last in single precision.

    Source: TFLite reference/resize_bilinear.h, ComputeInterpolationValues.
    """
    at, scale = np.arange(out, dtype=np.float32), _scale(operator, size, out)
    half = np.float32(0.5)
    at = (at + half) * scale - half if operator.options["half_pixel_centers"] else at * scale
    low = np.clip(np.floor(at), 0, size - 1).astype(np.int64)
    high = np.clip(np.ceil(at), 0, size - 1).astype(np.int64)
    fraction = at - low.astype(np.float32)
    rows = zip(low.tolist(), high.tolist(), fraction.tolist(), strict=True)
    return np.array(list(rows), object)
