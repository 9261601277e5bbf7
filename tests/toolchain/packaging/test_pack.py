"""Packing a real model: the manifest says what the model is, golden cases what it computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgepack.converters.artifacts import Provenance, QuantizedModel, sha256_of
from edgepack.converters.data.dataset import Dataset
from edgepack.converters.quantize.check import verify
from edgepack.converters.runtime import LiteRtModel
from edgepack.targets.registry import find_target
from edgepack.toolchain.packaging.archive import Package, open_package
from edgepack.toolchain.packaging.pack import pack
from edgepack.toolchain.packaging.signature import allowed_signers_line, create_key, public_key
from edgepack.toolchain.packaging.signature import verify as verify_signature


@pytest.fixture(scope="module")
def key(tmp_path_factory, ssh_keygen) -> Path:
    path = tmp_path_factory.mktemp("key") / "key"
    create_key(path)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from tests.converters.quantize.conftest import build_cnn

    return build_cnn(tmp_path_factory.mktemp("model") / "cnn.tflite")


@pytest.fixture(scope="module")
def data() -> Dataset:
    from tests.converters.quantize.conftest import images

    x, y = images(60, 5)
    names = tuple(f"class {index}" for index in range(8))
    return Dataset((x,), y, names, Path("images"), "5" * 64)


def packed(model, key: Path, path: Path, samples: Dataset | None, *, evaluation: bool = True) -> Package:
    content = sha256_of(model.path)
    quantized = QuantizedModel(
        "cnn", model.path, content, "float32", Provenance("quantize", {"model": content})
    )
    return pack(
        quantized, name="cnn", target=find_target("rpi"), samples=samples,
        evaluation=samples if evaluation else None,
        verification=verify(model, quantized, samples, None) if samples else None,
        preprocessing={"scale": 2.0}, key=key, path=path,
    )  # fmt: skip


def test_manifest_says_what_the_model_is(model, key: Path, data: Dataset, tmp_path: Path) -> None:
    package = packed(model, key, tmp_path / "cnn.epk", data)
    manifest = package.manifest
    assert (manifest.name, manifest.target, manifest.precision) == ("cnn", "rpi", "float32")
    assert [(spec.shape, spec.dtype, spec.layout) for spec in manifest.inputs] == [
        ([1, 12, 12, 1], "float32", "NHWC")
    ]
    assert [(spec.shape, spec.layout) for spec in manifest.outputs] == [([1, 8], None)]
    assert manifest.runtime.kind == "litert"
    assert manifest.preprocessing == {"scale": 2.0}
    assert manifest.quality.metric == "top1" and manifest.quality.count == 60
    assert (manifest.evaluation.count, manifest.evaluation.metric) == (60, "top1")
    with open_package(package.path) as opened:
        opened.verify_files()
        assert opened.read(manifest.model) == model.path.read_bytes()
        assert opened.read(manifest.labels).decode().splitlines() == list(data.class_names)
        x = np.frombuffer(opened.read(manifest.evaluation.inputs[0]), "<f4").reshape(data.inputs[0].shape)
        np.testing.assert_array_equal(x, data.inputs[0])
        labels = np.frombuffer(opened.read(manifest.evaluation.labels), "<i8")
        np.testing.assert_array_equal(labels, data.labels)
        signers = allowed_signers_line(public_key(key), "ann")
        assert verify_signature(opened.manifest_bytes, opened.signature, signers).principal == "ann"


def test_golden_outputs_are_what_the_model_computes(model, key: Path, data: Dataset, tmp_path: Path) -> None:
    package = packed(model, key, tmp_path / "cnn.epk", data)
    runner = LiteRtModel.open(model.path)
    assert package.manifest.golden
    with open_package(package.path) as opened:
        for case in package.manifest.golden:
            x = np.frombuffer(opened.read(case.inputs[0]), "<f4").reshape(1, 12, 12, 1)
            y = np.frombuffer(opened.read(case.outputs[0]), "<f4").reshape(1, 8)
            error = np.abs(runner.run((x,))[0] - y).max()
            assert error <= package.manifest.golden_tolerance.max_error


def test_same_inputs_same_bytes(model, key: Path, data: Dataset, tmp_path: Path) -> None:
    first, second = (packed(model, key, tmp_path / name / "cnn.epk", data) for name in ("a", "b"))
    assert first.path.read_bytes() == second.path.read_bytes()


def test_without_data_there_are_golden_cases_and_no_quality(model, key: Path, tmp_path: Path) -> None:
    manifest = packed(model, key, tmp_path / "cnn.epk", None).manifest
    assert manifest.golden
    assert (manifest.quality, manifest.evaluation, manifest.labels) == (None, None, None)


def test_evaluation_set_can_stay_out(model, key: Path, data: Dataset, tmp_path: Path) -> None:
    manifest = packed(model, key, tmp_path / "cnn.epk", data, evaluation=False).manifest
    assert manifest.evaluation is None
    assert manifest.quality.count == 60
    assert not [entry.path for entry in manifest.files if entry.path.startswith("evaluation/")]
