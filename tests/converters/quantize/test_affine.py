"""Affine quantization against the specification and against LiteRT's own QUANTIZE operator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgepack.converters.quantize.affine import dequantize_array, quantize_array
from edgepack.converters.quantize.convert import quantize
from edgepack.converters.quantize.execute import run_dataset
from edgepack.converters.quantize.recipe import Recipe
from edgepack.converters.runtime import LiteRtModel


@pytest.mark.parametrize(
    ("real", "expected"),
    [(0.0, 3), (0.5, 4), (0.25, 4), (-0.25, 2), (0.74, 4), (0.75, 5), (-0.75, 1), (1e9, 127), (-1e9, -128)],
)
def test_halves_round_away_from_zero_and_ends_saturate(real, expected):
    found = quantize_array(np.array([real], np.float32), 0.5, 3, np.dtype(np.int8))
    assert found.tolist() == [expected]


@given(hnp.arrays(np.int8, 20), st.floats(1e-4, 10), st.integers(-128, 127))
def test_quantizing_what_was_dequantized_gives_it_back(steps, scale, zero_point):
    real = dequantize_array(steps, scale, zero_point)
    np.testing.assert_array_equal(quantize_array(real, scale, zero_point, np.dtype(np.int8)), steps)


@given(
    hnp.arrays(np.float32, 20, elements=st.floats(-100, 100, width=32)), st.sampled_from([np.int8, np.int16])
)
def test_error_is_at_most_half_a_step_inside_the_range(real, dtype):
    scale = 200 / (np.iinfo(dtype).max - np.iinfo(dtype).min) * 1.01
    found = dequantize_array(quantize_array(real, scale, 0, np.dtype(dtype)), scale, 0)
    assert np.abs(found - real).max() <= scale / 2 * 1.001 + 1e-5


def test_float_and_integer_inputs_give_the_same_result(cnn, representative, evaluation, tmp_path):
    """The host's rounding of inputs is the one that the QUANTIZE operator of the model does."""
    inside = quantize(cnn, Recipe("int8", io="float32"), representative, tmp_path)
    outside = quantize(cnn, Recipe("int8"), representative, tmp_path)
    results = [run_dataset(LiteRtModel.open(model.path), evaluation)[0] for model in (inside, outside)]
    np.testing.assert_allclose(results[0], results[1], atol=1e-6)
