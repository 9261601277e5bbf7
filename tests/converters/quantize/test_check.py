"""Verification: its arithmetic against plain formulas, and what it says about real models."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgepack.converters.quantize.check import evaluate, verify
from edgepack.converters.quantize.convert import quantize
from edgepack.converters.quantize.execute import run_dataset
from edgepack.converters.quantize.metrics import METRICS
from edgepack.converters.quantize.recipe import Override, Recipe
from edgepack.converters.quantize.tensor_error import ErrorSums
from edgepack.converters.runtime import LiteRtModel

FLOATS = st.floats(-1000, 1000, width=32)


@given(hnp.arrays(np.float32, (3, 7), elements=FLOATS), hnp.arrays(np.float32, (3, 7), elements=FLOATS))
def test_sums_over_samples_are_the_formulas(x, y):
    sums = ErrorSums()
    for expected, found in zip(x, y, strict=True):
        sums.add(expected, found)
    error = sums.result(name="t", operator="ADD", dtype="int8", scale=0.5, input_noise=0.0)
    x, y = x.astype(np.float64), y.astype(np.float64)
    assert error.max_abs_error == np.abs(x - y).max()
    assert error.max_step_error == error.max_abs_error / 0.5
    signal, noise = (x**2).sum(), ((x - y) ** 2).sum()
    if signal > 0 and noise > 0:
        assert error.sqnr_db == pytest.approx(10 * np.log10(signal / noise))
    else:
        assert error.sqnr_db is None
    if x.any() and y.any():
        assert error.cosine == pytest.approx((x * y).sum() / np.sqrt(signal * (y**2).sum()), abs=1e-9)
    else:
        assert error.cosine is None


def test_float_against_itself_has_no_error(cnn, evaluation, tmp_path):
    found = verify(cnn, quantize(cnn, Recipe("float32"), None, tmp_path), evaluation)
    assert found.top1_agreement == 1.0
    assert found.drop == 0.0
    assert {t.max_abs_error for t in (*found.tensors, *found.outputs)} == {0.0}
    assert {t.sqnr_db for t in found.tensors} == {None}


def test_tensors_are_matched_in_order(cnn, representative, evaluation, tmp_path):
    found = verify(cnn, quantize(cnn, Recipe("int8"), representative, tmp_path), evaluation)
    assert [t.name for t in found.tensors] == ["image", "conv/relu", "flat", "dense/logits", "probabilities"]
    assert [t.operator for t in found.tensors][:2] == ["INPUT", "CONV_2D"]
    assert {t.dtype for t in found.tensors} == {"int8"}
    assert found.tensors[0].max_step_error <= 0.51  # an input is only rounded
    assert all(t.sqnr_db > 20 for t in found.tensors)
    assert found.samples == 400
    assert found.tensor_samples == 32
    assert found.metric_float.metric == "top1"
    assert json.loads(json.dumps(found.to_dict()))["precision"] == "int8"


def test_sqnr_of_the_output_against_plain_numpy(cnn, representative, evaluation, tmp_path):
    built = quantize(cnn, Recipe("int8"), representative, tmp_path)
    x, y = (run_dataset(LiteRtModel.open(m.path), evaluation)[0].astype(np.float64) for m in (cnn, built))
    found = verify(cnn, built, evaluation, tensor_samples=0)
    assert found.tensors == ()
    assert found.outputs[0].sqnr_db == pytest.approx(10 * np.log10((x**2).sum() / ((x - y) ** 2).sum()))
    assert found.top1_agreement == (x.argmax(1) == y.argmax(1)).mean()
    assert found.metric_deployed.value == (y.argmax(1) == evaluation.labels).mean()
    assert found.drop == pytest.approx(found.metric_float.value - found.metric_deployed.value)


def test_more_bits_mean_less_error(cnn, representative, evaluation, tmp_path):
    sqnr = {
        precision: verify(cnn, quantize(cnn, Recipe(precision), representative, tmp_path), evaluation)
        .outputs[0]
        .sqnr_db
        for precision in ("int4", "int8", "float16")
    }
    assert sqnr["int4"] < sqnr["int8"] < sqnr["float16"]


def test_the_cause_is_named_and_not_its_victims(fragile_cnn, representative, evaluation, tmp_path):
    found = verify(fragile_cnn, quantize(fragile_cnn, Recipe("int8"), representative, tmp_path), evaluation)
    assert found.worst_tensors(1)[0].name == "dense/logits"
    victim = next(t for t in found.tensors if t.name == "second/logits")
    assert victim.sqnr_db < 10
    assert victim.added_noise < 0.01


def test_outputs_are_matched_by_position_when_renamed(cnn, representative, evaluation, tmp_path):
    recipe = Recipe("int8", io="float32", overrides=(Override("dense/*", "int16x8"),))
    found = verify(cnn, quantize(cnn, recipe, representative, tmp_path), evaluation)
    assert len(found.outputs) == 1
    assert found.outputs[0].sqnr_db > 20
    assert found.outputs[0].max_step_error is None  # a float output has no steps


def test_without_labels_the_float_model_is_the_judge(cnn, representative, unlabelled, tmp_path):
    found = verify(cnn, quantize(cnn, Recipe("int8"), representative, tmp_path), unlabelled)
    assert found.metric_deployed.metric == "agreement"
    assert found.metric_float.value == 1.0
    assert found.metric_deployed.value == found.top1_agreement


def test_autoencoder_by_mse(autoencoder, machine_sounds, tmp_path):
    built = quantize(autoencoder, Recipe("int8"), machine_sounds, tmp_path)
    found = verify(autoencoder, built, machine_sounds, METRICS["mse"], tensor_samples=4)
    assert found.metric_float.low < found.metric_float.value < found.metric_float.high
    assert found.drop == pytest.approx(found.metric_deployed.value - found.metric_float.value)


def test_one_model_alone(cnn, representative, evaluation, tmp_path):
    built = quantize(cnn, Recipe("int8"), representative, tmp_path)
    assert evaluate(built.path, evaluation) == verify(cnn, built, evaluation).metric_deployed
