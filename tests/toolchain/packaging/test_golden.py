"""Golden cases of real models: what is kept, and how tight the tolerance is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgepack.converters.errors import ConversionError
from edgepack.converters.runtime import LiteRtModel
from edgepack.toolchain.errors import PackageError
from edgepack.toolchain.packaging.golden import (
    Golden,
    choose_golden,
    golden_case_files,
    little_endian,
    random_inputs,
)
from edgepack.toolchain.packaging.manifest import is_safe_path

MODELS = Path(__file__).parents[3].parent / "shared" / "models"
INT8, FLOAT = MODELS / "ad01_int8.tflite", MODELS / "ad01_fp32.tflite"
KWS = MODELS / "kws_ref_model.tflite"


@pytest.fixture(scope="module", autouse=True)
def _models():
    if not MODELS.is_dir():
        pytest.skip("the MLPerf Tiny models are not here")


@pytest.fixture(scope="module")
def golden() -> Golden:
    return choose_golden(KWS, precision="int8", class_scores=True)


def test_cases_are_what_the_default_kernels_compute(golden):
    model = LiteRtModel.open(KWS)
    assert len(golden.inputs) == len(golden.outputs) == 8
    for inputs, outputs in zip(golden.inputs, golden.outputs, strict=True):
        for expected, found in zip(outputs, model.run(inputs), strict=True):
            np.testing.assert_array_equal(expected, found)


def test_outputs_differ_from_each_other(golden):
    assert len({outputs[0].tobytes() for outputs in golden.outputs}) == len(golden.outputs)
    assert len({int(outputs[0].argmax()) for outputs in golden.outputs}) > 1


def test_other_kernels_are_within_the_tolerance(golden):
    for kernels in ("builtin", "reference"):
        model = LiteRtModel.open(KWS, kernels=kernels)
        for inputs, outputs in zip(golden.inputs, golden.outputs, strict=True):
            found = model.run(inputs)[0].astype(int)
            assert np.abs(found - outputs[0].astype(int)).max() <= golden.tolerance.max_error
    assert golden.tolerance.unit == "quantized_steps"
    assert golden.tolerance.max_error <= 5
    assert "default, builtin, reference" in golden.tolerance.reason


def test_choosing_again_gives_the_same(golden):
    assert golden_case_files(choose_golden(KWS, precision="int8", class_scores=True)) == golden_case_files(
        golden
    )


def test_float_tolerance_is_a_small_part_of_the_output_range():
    golden = choose_golden(FLOAT, precision="float32", class_scores=False, count=4)
    extent = max(np.ptp(np.stack([outputs[0] for outputs in golden.outputs])), 0)
    assert golden.tolerance.unit == "absolute"
    assert 1e-5 * extent <= golden.tolerance.max_error <= 1e-3 * extent
    assert golden.tolerance.min_top1_agreement is None
    wider = choose_golden(FLOAT, precision="dynamic-int8", class_scores=False, count=4)
    assert wider.tolerance.max_error == pytest.approx(0.02 * extent)


def test_samples_of_the_project_are_used():
    details = LiteRtModel.open(INT8).inputs[0]
    samples = [[np.full(details.shape, value, details.dtype)] for value in range(-100, 100, 20)]
    golden = choose_golden(INT8, samples, precision="int8", class_scores=False, count=3)
    given = {sample[0].tobytes() for sample in samples}
    assert {inputs[0].tobytes() for inputs in golden.inputs} <= given
    assert len(golden.inputs) == 3


def test_equal_samples_give_one_case():
    details = LiteRtModel.open(INT8).inputs[0]
    samples = [[np.zeros(details.shape, details.dtype)]] * 5
    assert len(choose_golden(INT8, samples, precision="int8", class_scores=False).inputs) == 1


def test_samples_without_a_finite_output():
    details = LiteRtModel.open(FLOAT).inputs[0]
    samples = [[np.full(details.shape, np.nan, np.float32)]]
    with pytest.raises(PackageError, match="no finite output"):
        choose_golden(FLOAT, samples, precision="float32", class_scores=False)


def test_samples_of_a_wrong_shape_are_an_error():
    with pytest.raises(ConversionError, match="do not fit"):
        choose_golden(INT8, [[np.zeros((1, 3), np.int8)]], precision="int8", class_scores=False)


def test_files_are_raw_little_endian_tensors(golden):
    cases, files = golden_case_files(golden)
    assert [path for case in cases for path in (*case.inputs, *case.outputs)] == list(files)
    assert all(is_safe_path(path) for path in files)
    assert files[cases[0].inputs[0]] == golden.inputs[0][0].tobytes()
    big_endian = np.arange(3, dtype=">i4")
    assert little_endian(big_endian) == np.arange(3, dtype="<i4").tobytes()


def test_random_inputs_use_the_whole_range_and_repeat():
    details = LiteRtModel.open(INT8).inputs
    first, again = random_inputs(details, 12), random_inputs(details, 12)
    for left, right in zip(first, again, strict=True):
        np.testing.assert_array_equal(left[0], right[0])
    values = np.concatenate([arrays[0].ravel() for arrays in first])
    assert values.min() == -127
    assert values.max() == 127
