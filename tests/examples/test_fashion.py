"""The Fashion-MNIST example: its committed files are what its README says, and its scripts work."""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.toolchain.project import load_project

if TYPE_CHECKING:
    from types import ModuleType

FASHION = Path(__file__).resolve().parents[2] / "examples" / "fashion"
DATASET = Path("/usr/share/datasets/fashion-mnist")
needs_dataset = pytest.mark.skipif(
    not DATASET.is_dir(), reason="needs the data set: apt-get install dataset-fashion-mnist"
)
needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason='needs pip install "edgepack[tensorflow]"'
)

# Runs in a process of its own: TensorFlow takes 500 MiB and raises warnings that pytest turns into errors.
KERAS_ACCURACY = """
import json, sys
import keras, numpy as np, tensorflow as tf
folder, tflite = sys.argv[1:]
data = np.load(f"{folder}/evaluation.npz")
model = keras.models.load_model(f"{folder}/fashion.keras")
correct = int((model.predict(data["x"], verbose=0).argmax(axis=1) == data["y"]).sum())
image = keras.Input((28, 28, 1), batch_size=1)
converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(image, model(image)))
open(tflite, "wb").write(converter.convert())
print(json.dumps({"correct": correct, "parameters": model.count_params(), "inputs": str(model.input_shape)}))
"""


def script(name: str) -> ModuleType:
    """Import one of the example's scripts the way Python runs it: with its own folder on the path."""
    spec = importlib.util.spec_from_file_location(f"fashion_example_{name}", FASHION / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(FASHION))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FASHION))
    return module


dataset, accuracy, train = script("fashion_mnist"), script("accuracy"), script("train")


def samples(name: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(FASHION / name, allow_pickle=False) as archive:
        assert sorted(archive.files) == ["x", "y"]
        return archive["x"], archive["y"]


def readme_number(pattern: str) -> float:
    """Return the number that the README states; `pattern` has one group."""
    found = re.findall(pattern, (FASHION / "README.md").read_text(encoding="utf-8"))
    assert len(found) == 1, f"README.md matches {pattern!r} {len(found)} times, expected once"
    return float(found[0].replace(",", ""))


def write_idx(path: Path, array: np.ndarray) -> None:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


# What is committed


def test_model_file_is_small() -> None:
    assert (FASHION / "fashion.keras").stat().st_size < 300_000


@pytest.mark.parametrize(("name", "per_class"), [("calibration.npz", 20), ("evaluation.npz", 50)])
def test_committed_samples_keep_the_contract(name: str, per_class: int) -> None:
    x, y = samples(name)
    assert x.shape == (10 * per_class, 28, 28, 1)
    assert x.dtype == np.float32
    assert x.min() == 0
    assert x.max() == 1
    assert y.dtype == np.int64
    assert np.bincount(y).tolist() == [per_class] * 10
    steps = x.astype(np.float64) * 255  # 8-bit pixels, divided by 255 and by nothing else
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-4)
    assert x.reshape(len(x), -1).std(axis=1).min() > 0, "an image without content"


def test_calibration_and_evaluation_share_no_image() -> None:
    calibration, evaluation = samples("calibration.npz")[0], samples("evaluation.npz")[0]
    hashes = [{image.tobytes() for image in x} for x in (calibration, evaluation)]
    assert [len(h) for h in hashes] == [len(calibration), len(evaluation)], "an image occurs twice"
    assert not hashes[0] & hashes[1]


def test_labels_file_names_the_ten_classes() -> None:
    assert (FASHION / "labels.txt").read_text(encoding="utf-8").splitlines() == list(dataset.LABELS)
    assert len(set(dataset.LABELS)) == 10


def test_project_file_names_the_committed_files() -> None:
    project = load_project(FASHION)
    data = project.settings.data
    named = [project.model_source(), data.representative, data.evaluation, data.labels]
    assert named == [
        str(FASHION / name) for name in ("fashion.keras", "calibration.npz", "evaluation.npz", "labels.txt")
    ]
    assert all(Path(path).is_file() for path in named)


@needs_tensorflow
@pytest.mark.slow
def test_committed_model_reaches_what_the_readme_claims(tmp_path: Path) -> None:
    tflite = tmp_path / "fashion.tflite"
    process = subprocess.run(
        [sys.executable, "-c", KERAS_ACCURACY, FASHION, tflite], capture_output=True, text=True, timeout=250
    )
    assert process.returncode == 0, process.stderr[-2000:]
    found = json.loads(process.stdout.splitlines()[-1])
    x, y = samples("evaluation.npz")

    assert found["inputs"] == "(None, 28, 28, 1)"
    assert found["parameters"] == readme_number(r"([\d,]+) parameters")
    claimed = readme_number(r"([\d.]+) % of the 500 images in `evaluation.npz`") / 100
    assert found["correct"] / len(y) == pytest.approx(
        claimed, abs=0.0021
    )  # one image: CPUs round differently
    assert abs(accuracy.evaluate("float32", tflite, x, y).correct - found["correct"]) <= 1


# The scripts


@needs_dataset
@pytest.mark.parametrize(
    ("part", "count", "name", "per_class"),
    [("train", 60_000, "calibration.npz", 20), ("test", 10_000, "evaluation.npz", 50)],
)
def test_samples_are_made_again_from_the_data_set(
    tmp_path: Path, part: str, count: int, name: str, per_class: int
) -> None:
    x, y = dataset.load(DATASET, part)
    assert x.shape == (count, 28, 28, 1)
    train.save_samples(tmp_path / "first.npz", x, y, per_class)
    train.save_samples(tmp_path / "second.npz", x, y, per_class)
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "second.npz").read_bytes()
    with np.load(tmp_path / "first.npz") as made:
        for array, committed in zip((made["x"], made["y"]), samples(name), strict=True):
            np.testing.assert_array_equal(array, committed)


def test_load_scales_pixels_and_adds_the_channel(tmp_path: Path) -> None:
    pixels = np.zeros((2, 28, 28), np.uint8)
    pixels[1, 0, 27] = 255
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", pixels)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", np.array([3, 9], np.uint8))
    x, y = dataset.load(tmp_path, "test")
    assert x.shape == (2, 28, 28, 1)
    assert x[1, 0, 27, 0] == 1
    assert x.sum() == 1
    assert y.tolist() == [3, 9]


def test_load_says_how_to_get_the_data_set(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="apt-get install dataset-fashion-mnist"):
        dataset.load(tmp_path, "train")


def test_load_refuses_a_file_that_is_not_idx(tmp_path: Path) -> None:
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"PK\x03\x04 no images here"))
    with pytest.raises(ValueError, match=r"t10k-images.*not an IDX file"):
        dataset.load(tmp_path, "test")


def test_load_refuses_labels_of_another_number(tmp_path: Path) -> None:
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", np.zeros((2, 28, 28), np.uint8))
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", np.zeros(3, np.uint8))
    with pytest.raises(ValueError, match=r"\(2, 28, 28\), expected \(3, 28, 28\)"):
        dataset.load(tmp_path, "test")


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_interval_agrees_with_published_values(
    correct: int, total: int, low: float, high: float
) -> None:
    # 81 of 263 is the worked example of Newcombe (1998), Statistics in Medicine 17, table I.
    assert accuracy.wilson_interval(correct, total) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 100_000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_wilson_interval_holds_the_proportion(case: tuple[int, int]) -> None:
    correct, total = case
    low, high = accuracy.wilson_interval(correct, total)
    assert -1e-12 <= low <= correct / total + 1e-12
    assert correct / total - 1e-12 <= high <= 1 + 1e-12


def test_integer_inputs_are_quantized_and_clipped() -> None:
    entry = {"dtype": np.int8, "quantization": (1 / 255, -128)}
    x = np.array([0.0, 0.4, 1.0, 2.0], np.float32)
    quantized = accuracy.quantize_input(x, entry)
    assert quantized.dtype == np.int8
    assert quantized.tolist() == [-128, -26, 127, 127]


def test_write_table_replaces_only_what_stands_between_the_markers(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{accuracy.BEGIN}\nold\n{accuracy.END}\nafter\n", encoding="utf-8")
    text = accuracy.table([accuracy.Accuracy("int8", 1234, 905, 1000)])
    for _ in range(2):
        accuracy.write_table(readme, text)
        assert readme.read_text(encoding="utf-8") == (
            f"before\n{accuracy.BEGIN}\n{text}\n{accuracy.END}\nafter\n"
        )
    assert "| int8 | 1,234 B | 90.50% | 88.52% to 92.17% |" in text


def test_write_table_refuses_a_readme_without_markers(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"{accuracy.END}\n{accuracy.BEGIN}\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="accuracy:begin"):
        accuracy.write_table(readme, "table")
    assert readme.read_text(encoding="utf-8") == f"{accuracy.END}\n{accuracy.BEGIN}\n"
