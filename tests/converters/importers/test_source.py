from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from edgepack.converters.errors import ConversionError
from edgepack.converters.importers.source import recognise


def _zip(path: Path, **entries: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in entries.items():
            archive.writestr(name.replace("_", "."), text)


def _files(folder: Path) -> None:
    """Lay out good and bad sources."""
    _zip(folder / "good.keras", config_json="{}")
    _zip(folder / "good.pt2", archive_format="pt2")
    _zip(folder / "other.keras", readme_txt="hello")
    whole = (folder / "good.keras").read_bytes()
    (folder / "cut.keras").write_bytes(whole[: len(whole) // 2])
    (folder / "text.keras").write_text("not a model")
    (folder / "good.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    (folder / "really-h5.keras").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    (folder / "really-keras.h5").write_bytes(whole)
    (folder / "empty.h5").touch()
    (folder / "good.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(64))
    (folder / "bad.tflite").write_bytes(b"\x1c\0\0\0XXXX" + bytes(64))
    (folder / "good.onnx").write_bytes(b"\x08\x08")
    for name in ("model.pth", "model.kera", "model.pb", "model"):
        (folder / name).write_bytes(b"anything")
    (folder / "saved").mkdir()
    (folder / "saved/saved_model.pb").write_bytes(b"x")
    (folder / "holder/1").mkdir(parents=True)
    (folder / "holder/1/saved_model.pb").write_bytes(b"x")
    (folder / "nothing").mkdir()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("good.keras", "keras"),
        ("good.h5", "h5"),
        ("good.tflite", "tflite"),
        ("good.onnx", "onnx"),
        ("good.pt2", "torch"),
        ("saved", "saved_model"),
    ],
)
def test_good_sources(tmp_path: Path, name: str, kind: str) -> None:
    _files(tmp_path)
    assert recognise(str(tmp_path / name)) == kind


def test_a_function() -> None:
    assert recognise("my_package.models:make") == "torch"


@pytest.mark.parametrize(
    ("name", "found", "remedy"),
    [
        ("god.keras", "There is no model at", "Give the path"),
        ("god.keras", "Did you mean 'good.keras'?", "Give the path"),
        ("nowhere/model.keras", "the folder '.*nowhere' does not exist either", "Give the path"),
        ("cut.keras", "not a whole zip archive", "may be cut off"),
        ("text.keras", "not a whole zip archive: it begins with b'not a mo'", "Export"),
        ("other.keras", "holds no config.json", "model.save"),
        ("really-h5.keras", "not a whole zip archive", "content is that of a .h5 file"),
        ("really-keras.h5", "not HDF5: it begins with b'PK", "content is that of a .keras"),
        ("empty.h5", "the file is empty", "again"),
        ("bad.tflite", "no TFL3 identifier", "Convert it again"),
        ("model.pth", "PyTorch pickle, which runs whatever code", "torch.export.save"),
        ("model.kera", "'.kera' is not a form .* Did you mean '.keras'?", "Give one of"),
        ("model", "the name has no suffix", "Give one of"),
        ("model.pb", "imported as a folder", "Give its folder"),
        ("holder", "holds no saved_model.pb", "Did you mean '.*holder/1'?"),
        ("nothing", "holds no saved_model.pb", "Give one of"),
    ],
)
def test_bad_sources_are_named_with_the_nearest_valid_form(
    tmp_path: Path, name: str, found: str, remedy: str
) -> None:
    _files(tmp_path)
    with pytest.raises(ConversionError, match=found) as raised:
        recognise(str(tmp_path / name))
    assert str(tmp_path) in raised.value.message
    assert re.search(remedy, raised.value.remedy)
