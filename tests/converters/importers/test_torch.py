from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgepack.converters.artifacts import FloatModel, sha256_of
from edgepack.converters.errors import ConversionError, MissingExtraError
from edgepack.converters.importers import torch as importer
from edgepack.converters.importers.registry import import_model
from edgepack.converters.runtime import LiteRtModel

with_torch = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("litert_torch") is None, reason="no litert-torch"),
]
MAKE = """
import sys, numpy as np, torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.drop = torch.nn.Dropout(0.5)
        self.head = torch.nn.Linear(8, 4)

    def forward(self, image):
        features = torch.relu(self.conv(image))
        return self.head(self.drop(features).mean((2, 3))), features

def make():
    torch.manual_seed(0)
    return Net(), (torch.zeros(2, 3, 6, 6),)

def nothing():
    return 42

if __name__ == "__main__":
    model = make()[0].eval()
    image = np.random.default_rng(3).standard_normal((1, 3, 6, 6)).astype("f4")
    np.savez("expected.npz", image=image, scores=model(torch.from_numpy(image))[0].detach().numpy())
    batch = {"image": {0: torch.export.Dim("batch")}}
    program = torch.export.export(model, (torch.zeros(2, 3, 6, 6),), dynamic_shapes=batch)
    torch.export.save(program, "net.pt2")
"""
HOSTILE = """
import io, pickle, zipfile
class Evil:
    def __reduce__(self):
        return (open, ("pwned", "w"))
source = zipfile.ZipFile("net.pt2")
with zipfile.ZipFile("evil.pt2", "w") as out:
    for name in source.namelist():
        data = source.read(name)
        if name.rpartition("/")[0].endswith("sample_inputs") or name.endswith(".pt"):
            data = pickle.dumps(Evil())
        out.writestr(name, data)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("torch")
    (path / "my_net.py").write_text(MAKE)
    subprocess.run([sys.executable, "my_net.py"], cwd=path, check=True, capture_output=True)
    return path


@pytest.mark.parametrize("source", ["net.pt2", "my_net:make"])
@pytest.mark.parametrize("marks", [pytest.param(None, marks=with_torch)])
def test_a_model_agrees_with_torch_channels_last(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, marks: None
) -> None:
    monkeypatch.chdir(folder)
    model = import_model(source, folder=tmp_path)
    assert isinstance(model, FloatModel)
    expected = np.load(folder / "expected.npz")
    loaded = LiteRtModel.open(model.path)
    assert loaded.inputs[0].shape == (1, 6, 6, 3)
    scores, features = loaded.run([expected["image"].transpose(0, 2, 3, 1)])
    np.testing.assert_allclose(scores, expected["scores"], atol=1e-5)
    assert features.shape == (1, 6, 6, 8)
    assert model.provenance.tools["litert-torch"]
    assert model.provenance.options == {"form": "torch", "batch": 1, "layout": "nhwc"}
    file = folder / ("net.pt2" if source == "net.pt2" else "my_net.py")
    assert list(model.provenance.inputs.values()) == [sha256_of(file)]


@pytest.mark.parametrize("marks", [pytest.param(None, marks=with_torch)])
def test_layout_as_is_at_another_batch(folder: Path, tmp_path: Path, marks: None) -> None:
    model = import_model(folder / "net.pt2", batch=3, layout="as-is", folder=tmp_path)
    assert LiteRtModel.open(model.path).inputs[0].shape == (3, 3, 6, 6)


@pytest.mark.parametrize("marks", [pytest.param(None, marks=with_torch)])
def test_a_pickle_inside_a_pt2_is_not_run(folder: Path, tmp_path: Path, marks: None) -> None:
    subprocess.run([sys.executable, "-c", HOSTILE], cwd=folder, check=True)
    with pytest.raises(ConversionError, match="cannot load") as raised:
        import_model(folder / "evil.pt2", folder=tmp_path)
    assert "pickle" in raised.value.remedy
    assert not (folder / "pwned").exists()
    assert not Path("pwned").exists()


@pytest.mark.parametrize("marks", [pytest.param(None, marks=with_torch)])
def test_a_function_that_returns_something_else(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, marks: None
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(ConversionError, match="it returned int") as raised:
        import_model("my_net:nothing", folder=tmp_path)
    assert "(model, example_inputs)" in raised.value.remedy


def test_a_module_that_is_not_there() -> None:
    with pytest.raises(ConversionError, match="no Python module 'no_such_module_here'"):
        importer.module_file("no_such_module_here:make")


def test_without_torch_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    (tmp_path / "net.py").write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingExtraError) as raised:
        import_model("net:make", folder=tmp_path)
    assert raised.value.remedy == 'Run: pip install "edgepack[torch]"'
