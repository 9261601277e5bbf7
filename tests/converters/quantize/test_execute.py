"""Running data sets through models of other shapes: several inputs, batches, whole-number inputs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgepack.converters.artifacts import FloatModel, Provenance, sha256_of
from edgepack.converters.data.dataset import Dataset
from edgepack.converters.errors import DataError
from edgepack.converters.quantize.check import verify
from edgepack.converters.quantize.convert import quantize
from edgepack.converters.quantize.execute import run_dataset
from edgepack.converters.quantize.recipe import Recipe
from edgepack.converters.runtime import LiteRtModel

PRECISIONS = ("float16", "dynamic-int8", "int8", "int16x8", "int4")


@pytest.fixture
def two_inputs(tmp_path, model_builder):
    """left [2, 4] + right [2, 4], then a dense layer: two inputs and a batch of 2."""
    rng = np.random.default_rng(0)
    b = model_builder()
    left, right = b.tensor("left", (2, 4)), b.tensor("right", (2, 4))
    total = b.tensor("total", (2, 4))
    b.operator("ADD", [left, right], total, schema.AddOptionsT())
    weights = b.tensor("kernel", (3, 4), rng.normal(0, 1, (3, 4)).astype(np.float32))
    bias = b.tensor("bias", (3,), np.zeros(3, np.float32))
    out = b.tensor("out", (2, 3))
    b.operator("FULLY_CONNECTED", [total, weights, bias], out, schema.FullyConnectedOptionsT())
    path = tmp_path / "two.tflite"
    b.save(path, [left, right], [out])
    return FloatModel("two", path, sha256_of(path), Provenance("import", {}))


@pytest.fixture
def pairs():
    rng = np.random.default_rng(1)
    left = rng.normal(0, 1, (51, 4)).astype(np.float32)
    return Dataset((left, (5 * left[::-1]).copy()), None, (), Path("pairs"), "0" * 64)


def test_samples_keep_their_order_and_the_last_batch_is_filled_up(two_inputs, pairs):
    model = LiteRtModel.open(two_inputs.path)
    (found,) = run_dataset(model, pairs)
    assert found.shape == (51, 3)
    left, right = pairs.inputs
    both = model.run([left[[3, 3]], right[[3, 3]]])[0]
    np.testing.assert_allclose(found[3], both[0], atol=1e-6)
    both = model.run([left[[50, 50]], right[[50, 50]]])[0]
    np.testing.assert_allclose(found[50], both[0], atol=1e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_two_inputs_and_a_batch_at_every_precision(two_inputs, pairs, precision, tmp_path):
    found = verify(two_inputs, quantize(two_inputs, Recipe(precision), pairs, tmp_path), pairs)
    assert found.outputs[0].sqnr_db > (15 if precision == "int4" else 30)
    assert [t.name for t in found.tensors] == ["left", "right", "total", "out"]


def test_samples_that_do_not_fit(two_inputs, pairs):
    wrong = Dataset((pairs.inputs[0],), None, (), pairs.path, pairs.sha256)
    with pytest.raises(DataError, match=r"51 samples of \[\[4\]\]; the model takes \[\[4\], \[4\]\]"):
        run_dataset(LiteRtModel.open(two_inputs.path), wrong)


@pytest.mark.slow
def test_keyword_spotting_at_every_precision(shared_models, tmp_path):
    """The MLPerf Tiny DS-CNN, converted to float here because its published float file is not float."""
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("converting the SavedModel needs TensorFlow")
    source, path = shared_models / "kws_ref_model", tmp_path / "kws.tflite"
    if not source.is_dir():
        pytest.skip(f"{source} is not there")
    code = (
        "import sys, pathlib, tensorflow as tf\n"
        "converter = tf.compat.v1.lite.TFLiteConverter.from_saved_model(sys.argv[1])\n"
        "pathlib.Path(sys.argv[2]).write_bytes(converter.convert())\n"
    )
    subprocess.run([sys.executable, "-c", code, str(source), str(path)], check=True, capture_output=True)
    model = FloatModel("kws", path, sha256_of(path), Provenance("import", {}))
    x = np.random.default_rng(0).normal(0, 30, (60, 49, 10, 1)).astype(np.float32)
    data = Dataset((x,), None, (), Path("noise"), "0" * 64)
    for precision in PRECISIONS:
        built = quantize(model, Recipe(precision), data, tmp_path)
        assert verify(model, built, data, tensor_samples=4).top1_agreement >= 0.95, precision
        assert built.path.stat().st_size < path.stat().st_size * 0.65
        kept = set(built.kept_precision.values())
        assert kept == ({"int8"} if precision == "int4" else set())  # depthwise has no int4 kernel
