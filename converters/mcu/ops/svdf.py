"""SVDF, the layer of a streaming model that keeps the last outputs of its filters: int8 and float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.ops.constants import constant
from edgepack.converters.mcu.ops.shapes import label_of, require_dtype, require_rank, require_shape
from edgepack.converters.mcu.program import Call, Table
from edgepack.converters.mcu.requantize import quantize_multiplier, scale_of

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph, Tensor

_FLOAT_LIMITS = {"NONE": (None, None), "RELU": (0.0, None), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}
_LARGEST = float(np.finfo(np.float32).max)


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of an SVDF: input, weights of features, weights of time, bias, state.

    Raises:
        ConversionError: Types or shapes that the kernel does not take, a state that is no variable or not
            symmetric (some releases of TFLite Micro clamp before they add its zero point), no bias.

    Source: TFLite Micro kernels/svdf_common.cc, PrepareSvdf.
    """
    source, features, time, state = (subgraph.tensors[operator.inputs[i]] for i in (0, 1, 2, 4))
    output = subgraph.tensors[operator.outputs[0]]
    for tensor in (source, features, time):
        require_rank(operator, tensor, 2)
    if operator.inputs[3] < 0 or not state.is_variable:
        msg = f"SVDF: output '{output.name}' has no bias, or its state '{state.name}' is no variable."
        raise ConversionError(msg, remedy="Convert the layer with a bias, and its state as a variable.")
    bias = subgraph.tensors[operator.inputs[3]]
    rank = operator.options["rank"]
    (filters, inputs), memory = features.shape, time.shape[-1]
    units, batches = filters // max(rank, 1), source.shape[0]
    for tensor, shape in (
        (source, (batches, inputs)),
        (time, (units * rank, memory)),
        (bias, (units,)),
        (state, (batches, filters * memory)),
        (output, (batches, units)),
    ):
        require_shape(operator, tensor, shape)
    sizes = {"batches": batches, "inputs": inputs, "units": units, "rank": rank, "memory": memory}
    exact = source.dtype == "float32"
    kernel = "ep_svdf_f32" if exact else f"ep_svdf_s8_{'s16' if state.dtype == 'int16' else 's8'}"
    types = ("float32",) * 5 if exact else ("int8", state.dtype, "int32", state.dtype, "int8")
    for tensor, dtype in zip((features, time, bias, state, output), types, strict=True):
        require_dtype(operator, tensor, dtype)
    c_types = (
        ("float",) * 3 if exact else ("int8_t", "int16_t" if state.dtype == "int16" else "int8_t", "int32_t")
    )
    tables = {
        name: Table(c_type, constant(operator, tensor).reshape(-1))
        for name, tensor, c_type in zip(
            ("features", "time", "bias"), (features, time, bias), c_types, strict=True
        )
    }
    rest = _limits(operator, output) if exact else _scales(operator, source, features, time, state, output)
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel=kernel,
        struct=kernel.replace("ep_svdf", "ep_svdf_of"),
        constants={**tables, **sizes, **rest},
        inputs=(source.index, state.index),
        outputs=(output.index,),
        macs=batches * filters * (inputs + memory),
    )


def _scales(
    operator: Operator, source: Tensor, features: Tensor, time: Tensor, state: Tensor, output: Tensor
) -> dict[str, int]:
    if state.dtype not in ("int8", "int16"):
        require_dtype(operator, state, "int16")
    (in_scale, in_zero), (state_scale, state_zero), (out_scale, out_zero) = map(
        scale_of, (source, state, output)
    )
    if state_zero:
        msg = (
            f"SVDF: state '{state.name}' has zero point {state_zero}; releases of TFLite Micro differ there."
        )
        raise ConversionError(msg, remedy="Quantize the state symmetrically: zero point 0.")
    into = quantize_multiplier(float(in_scale * scale_of(features)[0] / state_scale))
    out = quantize_multiplier(float(state_scale * scale_of(time)[0] / out_scale))
    return {
        "input_offset": -in_zero, "output_offset": out_zero,
        "state_multiplier": into.multiplier, "state_shift": into.shift,
        "output_multiplier": out.multiplier, "output_shift": out.shift,
    }  # fmt: skip


def _limits(operator: Operator, output: Tensor) -> dict[str, float]:
    activation = operator.options["fused_activation_function"]
    if activation not in _FLOAT_LIMITS:
        msg = f"SVDF: output '{output.name}' has a fused activation {activation}."
        raise ConversionError(msg, remedy=f"Use one of {', '.join(_FLOAT_LIMITS)}.")
    low, high = _FLOAT_LIMITS[activation]
    return {
        "activation_min": -_LARGEST if low is None else low,
        "activation_max": _LARGEST if high is None else high,
    }
