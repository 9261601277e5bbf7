from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from edgepack.converters.artifacts import FloatModel, QuantizedModel, sha256_of
from edgepack.converters.errors import ConversionError, MissingExtraError
from edgepack.converters.importers import registry
from edgepack.converters.importers.registry import import_model
from edgepack.converters.runtime import LiteRtModel

MODELS = Path(__file__).resolve().parents[4] / "shared/models"
with_models = pytest.mark.skipif(not MODELS.is_dir(), reason="the MLPerf Tiny models are not on this machine")


@pytest.mark.parametrize("kind", sorted(registry.IMPORTERS))
def test_every_row_of_the_table_is_there(kind: str) -> None:
    module, _, function = registry.IMPORTERS[kind].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@with_models
@pytest.mark.parametrize(
    ("name", "quantized"),
    [
        ("ad01_fp32", False),
        ("ad01_int8", True),
        ("kws_ref_model", True),
        ("pretrainedResnet", False),
        ("pretrainedResnet_quant", True),
    ],
)
def test_published_tflite_files_come_in_as_they_are(tmp_path: Path, name: str, quantized: bool) -> None:
    source = MODELS / f"{name}.tflite"
    model = import_model(source, folder=tmp_path / "work")
    assert model.path == tmp_path / "work" / f"{name}.tflite"
    assert model.sha256 == sha256_of(model.path) == sha256_of(source)
    assert isinstance(model, QuantizedModel if quantized else FloatModel)
    if isinstance(model, QuantizedModel):
        assert model.precision == "as-is"
    assert model.provenance.inputs == {source.name: sha256_of(source)}
    assert model.provenance.options == {"form": "tflite", "batch": 1}
    assert model.provenance.tools["ai-edge-litert"]


@with_models
def test_another_batch_of_a_tflite(tmp_path: Path) -> None:
    model = import_model(MODELS / "pretrainedResnet.tflite", batch=4, folder=tmp_path, name="resnet-b4")
    loaded = LiteRtModel.open(model.path)
    assert (loaded.inputs[0].shape, loaded.outputs[0].shape) == ((4, 32, 32, 3), (4, 10))


@with_models
def test_a_cut_off_tflite_leaves_nothing_behind_and_keeps_the_old_one(tmp_path: Path) -> None:
    source, work = tmp_path / "m.tflite", tmp_path / "work"
    source.write_bytes((MODELS / "ad01_int8.tflite").read_bytes())
    good = import_model(source, folder=work)
    source.write_bytes(source.read_bytes()[:100_000])
    with pytest.raises(ConversionError, match=r"m\.tflite"):
        import_model(source, folder=work)
    assert [p.name for p in work.iterdir()] == ["m.tflite"]
    assert sha256_of(good.path) == good.sha256


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "x" * 101])
def test_names_that_would_leave_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "m.tflite").write_bytes(b"\x1c\0\0\0TFL3")
    with pytest.raises(ConversionError, match="cannot be the name"):
        import_model(tmp_path / "m.tflite", name=name, folder=tmp_path / "work")


def test_a_batch_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"\x1c\0\0\0TFL3")
    with pytest.raises(ConversionError, match="batch is 0"):
        import_model(tmp_path / "m.tflite", batch=0, folder=tmp_path)


@pytest.mark.parametrize(
    ("source", "name"),
    [("a/My Model (2).h5", "My-Model-2"), ("pkg.nets:make", "pkg.nets-make"), ("/x/...h5", "model")],
)
def test_default_names(source: str, name: str) -> None:
    assert registry._default_name(source) == name


def test_a_missing_framework_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    for module in ("tensorflow", "torch"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError) as raised:
        import_model(tmp_path / "m.h5", folder=tmp_path)
    assert raised.value.remedy == 'Run: pip install "edgepack[tensorflow]"'


@with_models
def test_importing_a_tflite_loads_no_framework(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; "
        "from edgepack.converters.importers.registry import import_model; "
        f"import_model({str(MODELS / 'ad01_fp32.tflite')!r}, folder=Path({str(tmp_path)!r})); "
        "print(sorted({'tensorflow', 'keras', 'torch', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
