from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

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
with_models = pytest.mark.skipif(not MODELS.is_dir(), reason="the MLPerf Tiny models are not on this machine")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("keras")
    script = Path(__file__).with_name("keras_cases.py")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(
        [sys.executable, str(script), str(folder), str(MODELS)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, json.loads((folder / "answers.json").read_text())


@pytest.mark.parametrize("name", ["many.keras", "sequential.keras", "groups.h5"])
def test_a_converted_model_agrees_with_keras(answers: tuple[Path, dict[str, Any]], name: str) -> None:
    assert answers[1][name]["relative_difference"] < 1e-5


@with_models
@pytest.mark.parametrize("name", ["ad01.h5", "pretrainedResnet.h5"])
def test_published_h5_files_agree_with_keras(answers: tuple[Path, dict[str, Any]], name: str) -> None:
    assert answers[1][name]["relative_difference"] < 1e-5


def test_inputs_and_outputs_keep_their_order_and_get_the_batch(answers: tuple[Path, dict[str, Any]]) -> None:
    many = answers[1]["many.keras"]
    assert many["inputs"] == [["zeta", [3, 4]], ["alpha", [3, 4]]]
    assert many["outputs"] == ["Identity", *(f"Identity_{i}" for i in range(1, 12))]


@pytest.mark.parametrize("name", ["many.keras", "sequential.keras", "groups.h5"])
def test_no_shape_arithmetic_and_no_variables_are_left(
    answers: tuple[Path, dict[str, Any]], name: str
) -> None:
    left = {op.op for op in read_graph(answers[0] / f"{name}.tflite").operators}
    assert left.isdisjoint({"SHAPE", "STRIDED_SLICE", "PACK", "VAR_HANDLE", "READ_VARIABLE"})


@pytest.mark.parametrize(
    ("name", "message", "remedy"),
    [
        ("lambda.keras", "holds code: its Lambda layer 'evil'", "model.export"),
        ("lambda.h5", "holds code: its Lambda layer 'evil'", "model.export"),
        ("free.keras", "Input 'sequence' of .* has a free dimension 1: [?, ?, 5]", "fixed shape"),
        ("batch8.keras", "fixed batch 8, not 1", "--batch 8"),
        ("weights.h5", "holds weights but no model", "model.save"),
    ],
)
def test_what_cannot_be_converted(
    answers: tuple[Path, dict[str, Any]], name: str, message: str, remedy: str
) -> None:
    answer = answers[1][name]
    for part in message.split(" .* "):
        assert part in answer["message"]
    assert name in answer["message"]
    assert remedy in answer["remedy"]


@with_models
def test_a_published_h5_end_to_end(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = import_model(MODELS / "ad01.h5", folder=tmp_path)
    assert isinstance(model, FloatModel)
    assert {"keras", "ai-edge-litert"} <= set(model.provenance.tools)
    assert [p.name for p in tmp_path.iterdir()] == ["ad01.tflite"]
    published = LiteRtModel.open(MODELS / "ad01_fp32.tflite")
    features = np.random.default_rng(0).standard_normal((1, 640)).astype(np.float32)
    (found,), (expected,) = LiteRtModel.open(model.path).run([features]), published.run([features])
    # The published file holds other weights than the published .h5, of the same network and data.
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99
    assert capfd.readouterr() == ("", "")


def test_a_damaged_h5_end_to_end(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200))
    with pytest.raises(ConversionError, match=r"damaged\.h5' is damaged"):
        import_model(damaged, folder=tmp_path / "work")
    assert list((tmp_path / "work").iterdir()) == []
