"""The importers, and the one function that imports a model.

    source ── recognise ──> importer (in a child process) ──> <name>.tflite ── run once ──> FloatModel
                                                                                       or QuantizedModel

Rules:
    * The table is literal and importable without its contents: no importer and no framework is loaded before
      it is needed.
    * The `.tflite` is written under a temporary name, run once in LiteRT, and only then renamed: a file that
      exists is whole and runs.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, cast

from edgepack.converters.artifacts import FloatModel, Provenance, QuantizedModel, sha256_of
from edgepack.converters.errors import ConversionError
from edgepack.converters.importers.job import ImportJob, versions_of
from edgepack.converters.importers.source import is_function, recognise

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgepack.converters.importers.job import ImportedTools, Layout

IMPORTERS: dict[str, str] = {
    "h5": "edgepack.converters.importers.keras:import_keras",
    "keras": "edgepack.converters.importers.keras:import_keras",
    "onnx": "edgepack.converters.importers.onnx:import_onnx",
    "saved_model": "edgepack.converters.importers.saved_model:import_saved_model",
    "tflite": "edgepack.converters.importers.tflite:import_tflite",
    "torch": "edgepack.converters.importers.torch:import_torch",
}
"""Kind of source (see `source.recognise`) to its importer, `module:function`."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def import_model(
    source: str | Path,
    *,
    name: str | None = None,
    batch: int = 1,
    folder: Path,
    layout: Layout = "nhwc",
) -> FloatModel | QuantizedModel:
    """Turn a user's model into `folder/<name>.tflite`.

    Args:
        source: A `.keras`, `.h5`, `.tflite`, `.pt2` or `.onnx` file, a SavedModel folder, or
            `module:function`: the user's own function, which is run and returns `(torch module, inputs)`.
        name: Name of the model; by default made from the source's own.
        batch: Size of the first dimension of every input.
        folder: Where the `.tflite` goes; made if it is not there.
        layout: Layout of the 4-D inputs and outputs of a PyTorch model.

    Returns:
        A `FloatModel`, or for a file that is quantized already a `QuantizedModel` of precision "as-is".

    Raises:
        ConversionError: The source is missing, broken, of an unknown form, or cannot be converted.
        MissingExtraError: The framework for this form is not installed.
    """
    from edgepack.converters.runtime import check_runs

    source = str(source)
    kind = recognise(source)
    name = _check_name(name) if name is not None else _default_name(source)
    if batch < 1:
        msg = f"The batch is {batch}, expected 1 or more."
        raise ConversionError(msg, remedy="Give `--batch 1`, or leave it out.")
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{name}.{uuid.uuid4().hex}.tflite"
    try:
        tools = _importer(kind)(ImportJob(source, partial, batch, layout))
        check_runs(partial)
        path = partial.replace(folder / f"{name}.tflite")
    finally:
        partial.unlink(missing_ok=True)
    options = {"form": kind, "batch": batch, **({"layout": layout} if kind == "torch" else {})}
    return _artifact(name, path, Provenance("import", _hashes(source), options, _tools(tools)))


def _importer(kind: str) -> Callable[[ImportJob], ImportedTools]:
    module, _, function = IMPORTERS[kind].partition(":")
    return cast("Callable[[ImportJob], ImportedTools]", getattr(importlib.import_module(module), function))


def _artifact(name: str, path: Path, provenance: Provenance) -> FloatModel | QuantizedModel:
    from edgepack.converters.tflite.precision import precision_of
    from edgepack.converters.tflite.reader import read_graph

    sha256 = sha256_of(path)
    if precision_of(read_graph(path)) == "float32":
        return FloatModel(name, path, sha256, provenance)
    return QuantizedModel(name, path, sha256, "as-is", provenance)


def _tools(tools: ImportedTools) -> dict[str, str]:
    return {**tools, **versions_of("ai-edge-litert")}


def _hashes(source: str) -> dict[str, str]:
    """Return the name of the user's own file to its SHA-256; for a function, that of its file."""
    if not is_function(source):
        path = Path(source).resolve()
        return {path.name: sha256_of(path)}
    from edgepack.converters.importers.torch import module_file

    return {source: sha256_of(module_file(source))}


def _check_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        msg = f"'{name}' cannot be the name of a model."
        raise ConversionError(
            msg, remedy="Use letters, digits, '.', '_' and '-', beginning with a letter or digit, up to 100."
        )
    return name


def _default_name(source: str) -> str:
    stem = source.replace(":", "-") if is_function(source) else Path(source).resolve().stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:100] or "model"
