"""Stages of a build: what is kept, what is run again, and how a kept model comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgepack.converters.artifacts import FloatModel, QuantizedModel
from edgepack.converters.errors import QualityError
from edgepack.targets.registry import find_target
from edgepack.toolchain.errors import ProjectError
from edgepack.toolchain.project import Settings
from edgepack.toolchain.stages import (
    BuildRequest,
    fingerprint,
    import_stage,
    load_data,
    quantize_stage,
    verify_stage,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.converters.quantize.conftest import build_cnn, images

    folder = tmp_path_factory.mktemp("files")
    build_cnn(folder / "cnn.tflite")
    build_cnn(folder / "fragile.tflite", outlier=3000.0, second=True)
    x, y = images(60, 20)
    np.savez(folder / "data.npz", x=x, y=y)
    return folder


@pytest.fixture
def request_for(files: Path, tmp_path: Path):
    def make(
        model: str = "cnn.tflite", precision: str = "int8", **sections: dict[str, object]
    ) -> BuildRequest:
        data = str(files / "data.npz")
        settings = Settings.model_validate({"data": {"representative": data, "evaluation": data}, **sections})
        return BuildRequest(
            source=str(files / model), name="cnn", target=find_target("rpi"), precision=precision,
            settings=settings, folder=tmp_path, key=tmp_path / "key", output=tmp_path / "dist",
        )  # fmt: skip

    return make


def quantized(request: BuildRequest) -> QuantizedModel:
    imported = import_stage(request)
    return quantize_stage(request, imported, *load_data(request, imported))


def test_a_kept_model_comes_back_as_it_was(request_for) -> None:
    request = request_for()
    first, again = quantized(request), quantized(request)
    assert first == again
    assert first.path.is_file() and first.path.is_relative_to(request.folder / ".edgepack/quantize")
    assert first.precision == "int8"
    assert isinstance(import_stage(request), FloatModel)


def test_a_stage_runs_again_for_what_it_reads_and_for_nothing_else(request_for) -> None:
    base = quantized(request_for())
    assert quantized(request_for(quality={"max_drop": 0.5})).path == base.path
    assert quantized(request_for(build={"io": "float32"})).path != base.path
    assert quantized(request_for(precision="float16")).path != base.path
    override = {"overrides": [{"pattern": "dense/*", "precision": "float32"}]}
    kept = quantized(request_for(build=override))
    assert kept.path != base.path and kept.kept_precision == {"dense/logits": "float32"}


def test_a_model_that_came_quantized_stays_as_it_is(request_for, files: Path) -> None:
    model = quantized(request_for())
    (files / "ready.tflite").write_bytes(model.path.read_bytes())
    request = request_for("ready.tflite")
    imported = import_stage(request)
    assert isinstance(imported, QuantizedModel) and imported.precision == "as-is"
    assert quantized(request).path.read_bytes() == model.path.read_bytes()


def test_gate_stops_a_model_and_can_be_overruled(request_for) -> None:
    request = request_for("fragile.tflite")
    imported = import_stage(request)
    representative, evaluation = load_data(request, imported)
    model = quantize_stage(request, imported, representative, evaluation)
    with pytest.raises(QualityError, match="dense/logits"):
        verify_stage(request, imported, model, evaluation)
    allowed = BuildRequest(**{**vars(request), "allow_quality_drop": True})
    assert verify_stage(allowed, imported, model, evaluation).samples == 60
    assert verify_stage(request, imported, model, None) is None


def test_auto_needs_something_to_judge_by(request_for) -> None:
    request = request_for(precision="auto", data={})
    with pytest.raises(ProjectError, match="'auto' needs samples"):
        quantized(request)


def test_fingerprint_of_files_and_hooks(tmp_path: Path) -> None:
    (tmp_path / "data.npz").write_bytes(b"1")
    first = fingerprint("data.npz", tmp_path)
    (tmp_path / "data.npz").write_bytes(b"2")
    assert fingerprint("data.npz", tmp_path) != first
    with pytest.raises(ProjectError, match=r"Did you mean 'data\.npz'"):
        fingerprint("dta.npz", tmp_path)
    assert fingerprint("elsewhere:samples", tmp_path) == "elsewhere:samples"
    (tmp_path / "hooks.py").write_text("a = 1")
    first = fingerprint("hooks:samples", tmp_path)
    (tmp_path / "hooks.py").write_text("a = 2")
    assert fingerprint("hooks:samples", tmp_path) != first


def test_class_names_that_cannot_be_read(request_for, files: Path) -> None:
    data = {"representative": str(files / "data.npz"), "labels": str(files / "none.txt")}
    request = request_for(data=data)
    with pytest.raises(ProjectError, match=r"none\.txt"):
        load_data(request, import_stage(request))
