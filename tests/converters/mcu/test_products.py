"""BATCH_MATMUL and TRANSPOSE_CONV, against TFLite Micro."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.compile import compile_model
from tests.converters.mcu.models import Spec, assert_same, join, model_of, spec
from tests.converters.mcu.test_arithmetic import values

Run = Any


def check(run_c: Run, run_tflm: Run, cases: list[Any]) -> None:
    model = join(cases)
    free = [tensor for _, inputs, *_ in cases for tensor in inputs if tensor and tensor.data is None]
    batch = [values(tensor.shape, tensor.dtype, seed) for seed, tensor in enumerate(free)]
    assert_same(run_c(model, batch), run_tflm(model, batch), [case[0] for case in cases])


def product(
    dtype: str, first: Any, second: Any, out: Any, *, adj_x: bool = False, adj_y: bool = False
) -> Any:
    one, two, three = ((0.02, -3), (0.03, 11), (0.1, 5)) if dtype == "int8" else ((None, 0),) * 3
    inputs = [Spec(first, dtype, *one), Spec(second, dtype, *two)]
    return "BATCH_MATMUL", inputs, [Spec(out, dtype, *three)], {"adj_x": adj_x, "adj_y": adj_y}


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_batch_matmul(dtype: str, run_c: Run, run_tflm: Run) -> None:
    cases = [
        product(dtype, (3, 4), (4, 5), (3, 5)),
        product(dtype, (2, 3, 4), (2, 4, 5), (2, 3, 5)),
        product(dtype, (2, 4, 3), (2, 4, 5), (2, 3, 5), adj_x=True),
        product(dtype, (2, 3, 4), (2, 5, 4), (2, 3, 5), adj_y=True),
        product(dtype, (2, 4, 3), (2, 5, 4), (2, 3, 5), adj_x=True, adj_y=True),
        product(dtype, (2, 3, 3, 4), (1, 1, 4, 5), (2, 3, 3, 5)),
        product(dtype, (1, 40), (40, 1), (1, 1)),
    ]
    check(run_c, run_tflm, cases)


def transposed(
    size: int, taps: int, stride: int, padding: str, channels: int, *, per_channel: bool, bias: bool
) -> Any:
    rng = np.random.default_rng(taps * 10 + stride)
    out = size * stride if padding == "SAME" else (size - 1) * stride + taps
    scale = list(rng.uniform(0.005, 0.03, channels)) if per_channel else 0.01
    weights = rng.integers(-127, 128, (channels, taps, taps, 3))
    inputs: list[Any] = [
        spec(dtype="int32", data=[1, out, out, channels]),
        spec(data=weights, scale=scale),
        spec(1, size, size, 3, scale=0.05, zero_point=-9),
    ]
    if bias:
        bias_scale = [0.05 * one for one in scale] if per_channel else 0.05 * 0.01
        inputs.append(spec(dtype="int32", data=rng.integers(-9000, 9000, channels), scale=bias_scale))
    output = spec(1, out, out, channels, scale=0.3, zero_point=4)
    return "TRANSPOSE_CONV", inputs, [output], {"stride_h": stride, "stride_w": stride, "padding": padding}


def test_transpose_conv(run_c: Run, run_tflm: Run) -> None:
    cases = [
        transposed(4, 3, 1, "SAME", 5, per_channel=True, bias=True),
        transposed(4, 3, 2, "SAME", 5, per_channel=True, bias=False),
        transposed(3, 4, 2, "VALID", 2, per_channel=True, bias=True),
        transposed(5, 2, 2, "SAME", 3, per_channel=False, bias=True),
        transposed(2, 2, 3, "VALID", 4, per_channel=True, bias=True),
        transposed(1, 5, 4, "SAME", 1, per_channel=True, bias=True),
    ]
    check(run_c, run_tflm, cases)


def test_matrices_that_do_not_fit() -> None:
    model = model_of("BATCH_MATMUL", [spec(3, 4, scale=1), spec(5, 4, scale=1)], [spec(3, 4, scale=1)])
    with pytest.raises(ConversionError, match="do not fit") as caught:
        compile_model(model, name="model")
    assert caught.value.remedy
