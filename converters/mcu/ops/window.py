"""The geometry that convolutions and poolings share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.program import Struct

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Tensor


def window_of(
    operator: Operator,
    source: Tensor,
    output: Tensor,
    kernel: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> Struct:
    """Return the members of `ep_window`.

    Args:
        operator: The operator, with `stride_h`, `stride_w` and `padding`.
        source: Its input, [1, height, width, channels].
        output: Its output, likewise.
        kernel: Height and width of the kernel.
        dilation: Distance of its taps.

    Raises:
        ConversionError: A tensor is not of rank 4, or its batch is not 1.
    """
    for tensor in (source, output):
        if len(tensor.shape) != 4 or tensor.shape[0] != 1:
            found = f"{operator.op}: tensor '{tensor.name}' is {list(tensor.shape)}"
            msg = f"{found}, expected [1, height, width, channels]."
            raise ConversionError(msg, remedy="Convert the model with batch 1.")
    _, in_h, in_w, in_c = source.shape
    _, out_h, out_w, out_c = output.shape
    options = operator.options
    strides = options["stride_h"], options["stride_w"]
    same = options["padding"] == "SAME"
    top, left = (
        _padding(size, out, step, taps, gap) if same else 0
        for size, out, step, taps, gap in zip(
            (in_h, in_w), (out_h, out_w), strides, kernel, dilation, strict=True
        )
    )
    return Struct({
        "input_height": in_h, "input_width": in_w, "input_channels": in_c,
        "output_height": out_h, "output_width": out_w, "output_channels": out_c,
        "kernel_height": kernel[0], "kernel_width": kernel[1],
        "stride_height": strides[0], "stride_width": strides[1],
        "dilation_height": dilation[0], "dilation_width": dilation[1],
        "padding_top": top, "padding_left": left,
    })  # fmt: skip


def _padding(size: int, out: int, stride: int, taps: int, dilation: int) -> int:
    """Return the padding before the first element.

    Source: TFLite kernels/padding.h, ComputePaddingWithOffset.
    """
    effective = (taps - 1) * dilation + 1
    return max(0, ((out - 1) * stride + effective - size) // 2)
