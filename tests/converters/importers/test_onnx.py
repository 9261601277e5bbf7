"""ONNX models, through the real onnx2tf in its own environment (installed once into the user's cache)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgepack.converters.artifacts import FloatModel
from edgepack.converters.errors import ConversionError
from edgepack.converters.importers.onnx import REQUIREMENTS
from edgepack.converters.importers.registry import import_model
from edgepack.converters.importers.tool_environment import find_python, tool_python
from edgepack.converters.runtime import LiteRtModel

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
MAKE = """
import numpy as np, onnx, onnxruntime
from onnx import TensorProto as T, helper as h, numpy_helper as nh
rng = np.random.default_rng(0)
kernel = nh.from_array(rng.standard_normal((8, 3, 3, 3)).astype("f4") * 0.2, "kernel")
dense = nh.from_array(rng.standard_normal((8, 4)).astype("f4"), "dense")
def save(name, dims):
    nodes = [
        h.make_node("Conv", ["image", "kernel"], ["c"], pads=[1, 1, 1, 1]), h.make_node("Relu", ["c"], ["r"]),
        h.make_node("GlobalAveragePool", ["r"], ["p"]), h.make_node("Flatten", ["p"], ["f"]),
        h.make_node("MatMul", ["f", "dense"], ["scores"]),
    ]
    image = h.make_tensor_value_info("image", T.FLOAT, dims)
    scores = h.make_tensor_value_info("scores", T.FLOAT, [dims[0], 4])
    graph = h.make_graph(nodes, "g", [image], [scores], [kernel, dense])
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], ir_version=8), name)
save("batch.onnx", ["N", 3, 6, 6]); save("free.onnx", [1, 3, "height", 6]); save("eight.onnx", [8, 3, 6, 6])
data = open("batch.onnx", "rb").read(); open("cut.onnx", "wb").write(data[: len(data) // 2])
image = rng.standard_normal((2, 3, 6, 6)).astype("f4")
scores = onnxruntime.InferenceSession("batch.onnx").run(None, {"image": image})[0]
np.savez("expected.npz", image=image, scores=scores)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        find_python("onnx2tf")
    except ConversionError as err:
        pytest.skip(err.message)
    path = tmp_path_factory.mktemp("onnx")
    python = tool_python("onnx2tf", REQUIREMENTS)
    subprocess.run([str(python), "-I", "-c", MAKE], cwd=path, check=True, capture_output=True)
    return path


def test_a_free_batch_is_fixed_and_the_outputs_agree_with_onnxruntime(folder: Path, tmp_path: Path) -> None:
    model = import_model(folder / "batch.onnx", batch=2, folder=tmp_path)
    assert isinstance(model, FloatModel)
    expected, loaded = np.load(folder / "expected.npz"), LiteRtModel.open(model.path)
    assert loaded.inputs[0].shape == (2, 6, 6, 3)
    (scores,) = loaded.run([expected["image"].transpose(0, 2, 3, 1)])
    np.testing.assert_allclose(scores, expected["scores"], atol=1e-5)
    assert model.provenance.tools["onnx2tf"] == "2.6.9"
    assert [p.name for p in tmp_path.iterdir()] == ["batch.tflite"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("free.onnx", r"Input 'image' of '.*' has a free dimension 2 \(height\): \[1, 3, \?, 6\]"),
        ("eight.onnx", "fixed batch 8, not 1"),
        ("cut.onnx", r"cut\.onnx' is not a valid ONNX model"),
    ],
)
def test_what_cannot_be_converted(folder: Path, tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        import_model(folder / name, folder=tmp_path / "work")
    assert list((tmp_path / "work").iterdir()) == []
