"""Operators of two inputs: broadcasting, constants, activations, types, against TFLite Micro."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.compile import compile_model
from tests.converters.mcu.models import Spec, assert_same, join, model_of, spec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Run = Any

SHAPES = [
    ((1, 4, 3, 5), (1, 4, 3, 5)),
    ((1, 4, 3, 5), (5,)),
    ((1, 4, 3, 5), (1, 1, 1, 5)),
    ((1, 1, 1, 5), (1, 4, 3, 5)),
    ((2, 1, 3, 1), (1, 4, 1, 5)),
    ((1, 4, 3, 5), (1, 1)),
    ((1,), (2, 7)),
    ((1, 4, 3, 1), (1, 4, 3, 5)),
]
ARITHMETIC = ("ADD", "SUB", "MUL")
COMPARISONS = ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")
QUIET = settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def values(shape: tuple[int, ...], dtype: str, seed: int, count: int = 6) -> NDArray[Any]:
    """Return [count, *shape]: the edges of the type, then random numbers of it."""
    draw = np.random.default_rng(seed)
    if dtype == "float32":
        return draw.normal(0, 4, (count, *shape)).round(2).astype(np.float32)
    if dtype == "bool":
        return draw.integers(0, 2, (count, *shape)).astype(bool)
    limits = np.iinfo(np.int16 if dtype == "int32" else dtype)
    found = draw.integers(limits.min, limits.max + 1, (count, *shape)).astype(dtype)
    found[0], found[1] = limits.min, limits.max
    return found


def check(run_c: Run, run_tflm: Run, cases: list[Any]) -> None:
    """Hold one model of all cases against TFLite Micro, on edges and random inputs."""
    model = join(cases)
    free = [tensor for _, inputs, *_ in cases for tensor in inputs if tensor.data is None]
    batch = [values(tensor.shape, tensor.dtype, seed) for seed, tensor in enumerate(free)]
    assert_same(run_c(model, batch), run_tflm(model, batch), [case[0] for case in cases])


def binary(
    op: str,
    shapes: Any,
    dtype: str = "int8",
    quantizations: Any = None,
    output_dtype: str | None = None,
    **options: Any,
) -> Any:
    """Return a case; quantizations are (scale, zero point) of the first, the second and the output."""
    out_shape = np.broadcast_shapes(*shapes)
    defaults = {"int8": ((0.05, -3), (0.1, 17), (0.12, 5)), "int16": ((5e-4, 0), (1e-3, 0), (1.5e-3, 0))}
    if op in ("MAXIMUM", "MINIMUM"):
        defaults = {"int8": ((0.05, -3),) * 3, "int16": ((5e-4, 0),) * 3}
    one, two, out = quantizations or defaults.get(dtype, ((None, 0),) * 3)
    if output_dtype == "bool":
        out = (None, 0)
    return (
        op,
        [Spec(shapes[0], dtype, *one), Spec(shapes[1], dtype, *two)],
        [Spec(out_shape, output_dtype or dtype, *out)],
        options,
    )


@pytest.mark.parametrize("dtype", ["int8", "int16", "float32", "int32"])
@pytest.mark.parametrize("op", [*ARITHMETIC, "MAXIMUM", "MINIMUM"])
def test_broadcasting(op: str, dtype: str, run_c: Run, run_tflm: Run) -> None:
    check(run_c, run_tflm, [binary(op, shapes, dtype) for shapes in SHAPES])


@pytest.mark.parametrize("op", COMPARISONS)
def test_comparisons(op: str, run_c: Run, run_tflm: Run) -> None:
    dtypes = ["int8", "float32", "int32", *(["bool"] if op in ("EQUAL", "NOT_EQUAL") else [])]
    check(
        run_c,
        run_tflm,
        [binary(op, shapes, dtype, output_dtype="bool") for dtype in dtypes for shapes in SHAPES[:5]],
    )


@pytest.mark.parametrize("op", ARITHMETIC)
@pytest.mark.parametrize("activation", ["RELU", "RELU6", "RELU_N1_TO_1"])
def test_fused_activations(op: str, activation: str, run_c: Run, run_tflm: Run) -> None:
    cases = [
        binary(op, ((3, 5), (3, 5)), dtype, fused_activation_function=activation)
        for dtype in ("int8", "int16", "float32")
    ]
    check(run_c, run_tflm, cases)


@pytest.mark.parametrize("op", [*ARITHMETIC, "MAXIMUM", "PRELU"])
def test_constant_operands(op: str, run_c: Run, run_tflm: Run) -> None:
    """A scalar, a channel vector and a whole tensor, on either side."""
    rng = np.random.default_rng(5)
    cases = []
    scales = ((0.05, 4),) * 3 if op == "MAXIMUM" else ((0.05, 4), (0.02, -7), (0.1, 0))
    for shape in ((1,), (5,), (1, 3, 5)):
        data = rng.integers(-128, 128, shape).astype(np.int8)
        sides = [Spec((1, 3, 5), "int8", *scales[0]), Spec(shape, "int8", *scales[1], data)]
        cases.append((op, sides, [Spec((1, 3, 5), "int8", *scales[2])], {}))
        if op != "PRELU":
            cases.append((op, sides[::-1], [Spec((1, 3, 5), "int8", *scales[2])], {}))
    check(run_c, run_tflm, cases)


def test_prelu(run_c: Run, run_tflm: Run) -> None:
    cases = [binary("PRELU", shapes) for shapes in SHAPES[:3]]
    check(run_c, run_tflm, [*cases, *(binary("PRELU", shapes, "float32") for shapes in SHAPES[:3])])


quantization = st.tuples(st.floats(1e-3, 0.9), st.integers(-128, 127))


@QUIET
@given(st.lists(st.tuples(quantization, quantization, quantization), min_size=3, max_size=3), st.data())
def test_any_quantization(run_c: Run, run_tflm: Run, drawn: Any, data: Any) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    other = tuple(data.draw(st.sampled_from([1, size])) for size in shape)
    cases = []
    for one, two, (scale, zero) in drawn:
        # TFLite demands a factor below 1 of what rescales a sum.
        wide = (max(scale, 2.5e-6 * max(one[0], two[0])), zero)
        cases += [binary(op, (shape, other), "int8", (one, two, wide)) for op in (*ARITHMETIC, "PRELU")]
        cases += [binary(op, (shape, other), "int8", (one, two, wide), "bool") for op in ("EQUAL", "LESS")]
    check(run_c, run_tflm, cases)


@QUIET
@given(st.lists(st.floats(1e-5, 0.9), min_size=3, max_size=3))
def test_any_scale_in_16_bits(run_c: Run, run_tflm: Run, scales: list[float]) -> None:
    scales[2] = max(scales[2], 1e-4 * max(scales))  # a smaller one is refused
    quantizations = tuple((scale, 0) for scale in scales)
    check(run_c, run_tflm, [binary(op, ((40,), (40,)), "int16", quantizations) for op in ARITHMETIC])


def test_operands_of_different_quantization() -> None:
    model = join([binary("MAXIMUM", ((4,), (4,)), "int8", ((0.1, 0), (0.2, 0), (0.1, 0)))])
    with pytest.raises(ConversionError, match="must be equal") as caught:
        compile_model(model, name="model")
    assert caught.value.remedy


@pytest.mark.parametrize("op", ["ADD", "SUB"])
def test_an_output_that_is_too_fine_for_its_inputs(op: str) -> None:
    model = join([binary(op, ((4,), (4,)), "int8", ((0.5, 0), (0.5, 0), (1e-7, 0)))])
    with pytest.raises(ConversionError, match="far below") as caught:
        compile_model(model, name="model")
    assert caught.value.remedy


def test_shapes_that_do_not_broadcast() -> None:
    model = model_of("ADD", [spec(4, scale=1), spec(3, scale=1)], [spec(4, scale=1)])
    with pytest.raises(ConversionError, match="do not broadcast"):
        compile_model(model, name="model")


def test_a_type_without_a_kernel() -> None:
    model = model_of("MUL", [spec(4, dtype="int64"), spec(4, dtype="int64")], [spec(4, dtype="int64")])
    with pytest.raises(ConversionError, match=r"MUL.*int64.*expected int8") as caught:
        compile_model(model, name="model")
    assert caught.value.remedy
