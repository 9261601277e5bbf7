from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgepack.converters.artifacts import FloatModel
from edgepack.converters.errors import ConversionError
from edgepack.converters.importers.registry import import_model
from edgepack.converters.runtime import LiteRtModel
from edgepack.converters.tflite.reader import read_graph

MODELS = Path(__file__).resolve().parents[4] / "shared/models"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"),
]
MAKE = """
import sys, keras, numpy as np
a, b = keras.Input((4,), name="b_second"), keras.Input((4,), name="a_first")
model = keras.Model([a, b], keras.layers.Dense(3)(a - 2 * b))
model.export(sys.argv[1] + "/model", verbose=False)
x = np.ones((2, 4), "f4")
np.save(sys.argv[1] + "/expected.npy", model([x, 3 * x]))
"""
RUN = """
import sys, numpy as np, tensorflow as tf
session = tf.compat.v1.Session(graph=tf.Graph())
with session.graph.as_default():
    loaded = tf.compat.v1.saved_model.load(session, ["serve"], sys.argv[1])
signature = loaded.signature_def["serving_default"]
((_, given),), ((_, asked),) = signature.inputs.items(), signature.outputs.items()
features = np.load(sys.argv[2] + "/features.npy")
np.save(sys.argv[2] + "/expected.npy", session.run(asked.name, {given.name: features}))
"""


@pytest.mark.skipif(not MODELS.is_dir(), reason="the MLPerf Tiny models are not on this machine")
def test_the_published_keyword_spotting_model_needs_the_older_converter(tmp_path: Path) -> None:
    model = import_model(MODELS / "kws_ref_model", folder=tmp_path)
    assert isinstance(model, FloatModel)  # unlike the published .tflite, whose weights are int8
    assert 100_000 < model.path.stat().st_size < 110_000
    assert "SHAPE" not in {op.op for op in read_graph(model.path).operators}
    features = np.random.default_rng(0).standard_normal((1, 49, 10, 1)).astype(np.float32)
    np.save(tmp_path / "features.npy", features)
    command = [sys.executable, "-c", RUN, str(MODELS / "kws_ref_model"), str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = LiteRtModel.open(model.path).run([features])
    np.testing.assert_allclose(found, np.load(tmp_path / "expected.npy"), atol=1e-5)


def test_a_current_saved_model_at_another_batch(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", MAKE, str(tmp_path)], check=True, capture_output=True)
    model = import_model(tmp_path / "model", batch=2, folder=tmp_path / "work")
    loaded = LiteRtModel.open(model.path)
    ones = np.ones((2, 4), np.float32)
    values = {"a_first": 3 * ones, "b_second": ones}
    (found,) = loaded.run([values[details.name] for details in loaded.inputs])
    np.testing.assert_allclose(found, np.load(tmp_path / "expected.npy"), atol=1e-5)


def test_a_damaged_saved_model(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m/saved_model.pb").write_bytes(b"\xff" * 50)
    with pytest.raises(ConversionError, match=r"saved_model\.pb' is damaged"):
        import_model(tmp_path / "m", folder=tmp_path / "work")
