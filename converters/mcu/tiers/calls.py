"""What the tiers share: reading a plain call's constants, and forms of a call that several tiers take."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from edgepack.converters.mcu.program import Struct, Table
from edgepack.converters.mcu.tiers.packing import MAX_SHIFT, channel_constants

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgepack.converters.mcu.program import Call
    from edgepack.converters.mcu.tiers.packing import ChannelConstants

POINTER_BYTES = 4


def constants_of(call: Call, matrix: NDArray[np.int8]) -> ChannelConstants | None:
    """Return the constants of a call's output channels; arguments and None as in `channel_constants`."""
    offsets = number_of(call, "input_offset"), number_of(call, "output_offset")
    return channel_constants(data_of(call, "channels"), matrix, *offsets)


def window_of(call: Call) -> dict[str, int]:
    """Return the members of a call's `ep_window`."""
    return dict(cast("Struct", call.constants["window"]).members)


def data_of(call: Call, member: str) -> NDArray[Any]:
    """Return the data of a call's table."""
    return cast("Table", call.constants[member]).data


def number_of(call: Call, member: str) -> int:
    """Return an integer among a call's constants."""
    return cast("int", call.constants[member])


def bounds_of(call: Call) -> dict[str, int]:
    """Return the bounds of a call's fused activation."""
    return {key: number_of(call, key) for key in ("activation_min", "activation_max")}


def convolution_matrix(call: Call) -> NDArray[np.int8] | None:
    """Return a plain convolution's weights, int8 [out, height x width x in]; None for another operator.

    A depthwise convolution of one channel is one, too.
    """
    if call.kernel == "ep_conv_2d_s8":
        matrix: NDArray[np.int8] = data_of(call, "weights").reshape(window_of(call)["output_channels"], -1)
        return matrix
    if call.kernel == "ep_depthwise_conv_2d_s8" and window_of(call)["input_channels"] == 1:
        taps: NDArray[np.int8] = data_of(call, "weights").reshape(-1, window_of(call)["output_channels"])
        columns: NDArray[np.int8] = taps.T
        return columns
    return None


def dense_scaling(constants: ChannelConstants) -> dict[str, int] | None:
    """Return multiplier, rounding and shift of all channels; None where they differ between channels."""
    scaling = constants.scaling()
    if len(np.unique(scaling, axis=0)) > 1:
        return None
    return dict(zip(("multiplier", "rounding", "shift"), map(int, scaling[0]), strict=True))


def dense_as_convolution(call: Call) -> Call:
    """Return a dense layer as a 1x1 convolution of its rows, which has factors per channel; no kernel yet."""
    rows, inputs, outputs = (number_of(call, key) for key in ("rows", "input_size", "output_size"))
    ones = [f"{kind}_{axis}" for kind in ("kernel", "stride", "dilation") for axis in ("height", "width")]
    window = Struct(
        {
            "input_height": rows, "input_width": 1, "input_channels": inputs,
            "output_height": rows, "output_width": 1, "output_channels": outputs,
            **dict.fromkeys(ones, 1),
            "padding_top": 0, "padding_left": 0,
        }
    )  # fmt: skip
    return replace(call, constants={**call.constants, "window": window})


def add_by_shifts(call: Call, kernel: str) -> Call | None:
    """Return an ADD as `ep_add_right`; None where both scales are the same, or a shift is not served."""
    numbers = {key: value for key, value in call.constants.items() if isinstance(value, int)}
    exact = [numbers[f"multiplier_{i}"] == 1 << 30 and numbers[f"shift_{i}"] == 0 for i in (1, 2)]
    out = -numbers["output_shift"]
    if exact[0] == exact[1] or not 1 <= out <= MAX_SHIFT:
        return None
    first, second = (1, 2) if exact[0] else (2, 1)
    shift = -numbers[f"shift_{second}"]
    return replace(
        call,
        kernel=kernel,
        struct="ep_add_right",
        constants={
            "size": numbers["size"],
            "first_bias": numbers[f"offset_{first}"] << 20,
            "second_bias": numbers[f"offset_{second}"] << 21,
            "second_multiplier": numbers[f"multiplier_{second}"],
            "second_half": 1 << (shift - 1),
            "second_shift": shift,
            "multiplier": numbers["output_multiplier"],
            "rounding": (1 << (out - 1)) + (numbers["output_offset"] << out),
            "shift": out,
            **bounds_of(call),
        },
        inputs=call.inputs if first == 1 else call.inputs[::-1],
    )
