"""Tell what a model source is, by its name and by its content, before any framework is asked.

A source is a file, a SavedModel folder, or `module:function`. Whatever is wrong with it is said here: what
was found, and the nearest form that is valid. Frameworks answer the same mistakes with a page of traceback.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from edgepack.converters.errors import ConversionError
from edgepack.targets.errors import nearest

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"  # Source: HDF5 file format specification, II.A "Superblock".
_TFLITE_IDENTIFIER = b"TFL3"  # Source: tflite/schema.fbs, `file_identifier`.
_SUFFIXES = {
    ".h5": "h5",
    ".hdf5": "h5",
    ".keras": "keras",
    ".onnx": "onnx",
    ".pt2": "torch",
    ".tflite": "tflite",
}
_FORMS = ".keras, .h5, a SavedModel folder, .tflite, .pt2, .onnx or module:function"
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle")


def is_function(source: str) -> bool:
    """Return whether a source is written as `module:function`."""
    return _FUNCTION.fullmatch(source) is not None and not Path(source).exists()


def recognise(source: str) -> str:
    """Return the kind of a source: a key of the importers' table in `registry.py`.

    Raises:
        ConversionError: It does not exist, is of a form that edgepack does not read, or is not what its
            name says.
    """
    path = Path(source)
    if is_function(source):
        return "torch"
    if not path.exists():
        raise _missing(path)
    if path.is_dir():
        return _check_folder(path)
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise _unknown(path)
    if path.stat().st_size == 0:
        raise _problem(path, "the file is empty", "Export or download the model again.")
    _check_content(path, kind)
    return kind


def _missing(path: Path) -> ConversionError:
    folder = path.parent
    hint = nearest(path.name, [p.name for p in folder.iterdir()]) if folder.is_dir() else ""
    what = "" if folder.is_dir() else f" (the folder '{folder}' does not exist either)"
    msg = f"There is no model at '{path}'{what}.{hint}"
    return ConversionError(msg, remedy=f"Give the path of a model: {_FORMS}.")


def _unknown(path: Path) -> ConversionError:
    suffix = path.suffix.lower()
    if suffix in _PICKLES:
        return _problem(
            path,
            "it is a PyTorch pickle, which runs whatever code it holds when it is loaded, and holds no graph",
            "Export it: `torch.export.save(torch.export.export(model.eval(), inputs), 'model.pt2')`, "
            "or give a function of yours, `module:function`, that returns (model, example_inputs).",
        )
    if suffix == ".pb":
        return _problem(path, "a SavedModel is imported as a folder", f"Give its folder: '{path.parent}'.")
    hint = nearest(suffix, _SUFFIXES) if suffix else ""
    found = f"'{suffix}' is not a form that edgepack reads.{hint}" if suffix else "the name has no suffix"
    return _problem(path, found, f"Give one of: {_FORMS}.")


def _check_folder(path: Path) -> str:
    if (path / "saved_model.pb").is_file():
        return "saved_model"
    inside = sorted(p for p in path.iterdir() if p.suffix.lower() in _SUFFIXES)
    deeper = sorted(p.parent for p in path.glob("*/saved_model.pb"))
    hint = f"Did you mean '{(deeper or inside)[0]}'?" if deeper or inside else f"Give one of: {_FORMS}."
    raise _problem(path, "the folder holds no saved_model.pb, so it is not a SavedModel", hint)


def _check_content(path: Path, kind: str) -> None:
    with path.open("rb") as file:
        head = file.read(16)
    zipped, hdf5 = zipfile.is_zipfile(path), head.startswith(_HDF5_SIGNATURE)
    begins = f"it begins with {head[:8]!r}"
    if kind == "h5" and not hdf5:
        raise _problem(path, f"it is not HDF5: {begins}", _renamed(path, head, "Save it again."))
    if kind in ("keras", "torch") and not zipped:
        cut = "Export or download it again; the file may be cut off."
        remedy = cut if head.startswith(b"PK") else _renamed(path, head, cut)
        raise _problem(path, f"it is not a whole zip archive: {begins}", remedy)
    if kind == "keras" and "config.json" not in zipfile.ZipFile(path).namelist():
        raise _problem(
            path, "the archive holds no config.json", "Save it again with `model.save('model.keras')`."
        )
    if kind == "tflite" and head[4:8] != _TFLITE_IDENTIFIER:
        found = f"it has no {_TFLITE_IDENTIFIER.decode()} identifier: it begins with {head[:8]!r}"
        raise _problem(path, found, _renamed(path, head, "Convert it again."))


def _renamed(path: Path, head: bytes, otherwise: str) -> str:
    """Return the remedy: the suffix that the content fits, or `otherwise`."""
    fits = {_HDF5_SIGNATURE[:4]: ".h5", b"PK\x03\x04": ".keras (or .pt2)"}.get(head[:4])
    if head[4:8] == _TFLITE_IDENTIFIER:
        fits = ".tflite"
    return f"The content is that of a {fits} file: rename it." if fits and fits != path.suffix else otherwise


def _problem(path: Path, found: str, remedy: str) -> ConversionError:
    msg = f"Cannot import '{path}': {found if found.endswith('?') else found + '.'}"
    return ConversionError(msg, remedy=remedy)
