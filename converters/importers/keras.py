"""Import a Keras model: Keras 3 `.keras`, or Keras 2 `.h5`.

Rules:
    * A `Lambda` layer holds Python bytecode that would run while the model is loaded. It is refused by
      reading the model's configuration, before Keras sees the file; Keras' own safe mode stays on besides.
    * Inputs and outputs keep the order of the model.
    * Nothing of the optimizer or the losses is loaded (`compile=False`).
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.converters.errors import ConversionError
from edgepack.converters.importers.fixed_shape import fixed_shape
from edgepack.converters.importers.tensorflow_child import convert_function, convert_in_child

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgepack.converters.importers.job import ImportedTools, ImportJob

_CONFIG_LIMIT_BYTES = 64 << 20
_REMEDY_EXPORT = "Run `model.export('folder')` where the model's code is, and import that folder."


def import_keras(job: ImportJob) -> ImportedTools:
    """Convert a `.keras` or `.h5` file.

    Raises:
        MissingExtraError: TensorFlow or Keras is not installed.
        ConversionError: The file is broken, holds code or custom layers, or cannot be converted.
    """
    return convert_in_child(
        "edgepack.converters.importers.keras:convert_in_this_process", job, "a Keras model"
    )


def convert_in_this_process(request: Mapping[str, Any]) -> dict[str, Any]:
    """Convert `request["source"]`. Imports TensorFlow; runs in the child."""
    import keras
    import tensorflow as tf

    path = Path(request["source"])
    _refuse_code(path, _read_config(path))
    model = _load(path)
    structure = _input_structure(model, path)
    inputs = keras.tree.flatten(structure)
    specs = [
        tf.TensorSpec(fixed_shape(str(path), x.name, x.shape, request["batch"]), x.dtype, x.name)
        for x in inputs
    ]

    @tf.function(input_signature=specs)  # type: ignore[untyped-decorator]
    def forward(*arrays: Any) -> list[Any]:  # noqa: ANN401 - tensors of the untyped library
        packed = keras.tree.pack_sequence_as(structure, list(arrays))
        return list(keras.tree.flatten(model(packed, training=False)))

    convert_function(forward.get_concrete_function(), request, Path(request["output"]))
    return {}


def _read_config(path: Path) -> Any:  # noqa: ANN401 - a JSON value
    """Return the model's configuration without building anything from it."""
    try:
        if path.suffix.lower() == ".keras":
            with zipfile.ZipFile(path) as archive, archive.open("config.json") as file:
                return json.loads(file.read(_CONFIG_LIMIT_BYTES))
        import h5py  # type: ignore[import-untyped]

        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config")
    except (OSError, ValueError, zipfile.BadZipFile, KeyError) as err:
        msg = f"'{path}' is damaged: {err}."
        raise ConversionError(msg, remedy="Export or download the model again.") from err
    if text is None:
        msg = f"'{path}' holds weights but no model: the HDF5 attribute 'model_config' is missing."
        raise ConversionError(msg, remedy="Save the whole model with `model.save('model.keras')`.")
    return json.loads(text)


def _refuse_code(path: Path, config: Any) -> None:  # noqa: ANN401 - a JSON value
    for node in _nodes(config):
        if node.get("class_name") in ("Lambda", "__lambda__"):
            inner = node.get("config")
            name = (inner.get("name") if isinstance(inner, dict) else None) or node.get("name", "?")
            msg = f"'{path}' holds code: its Lambda layer '{name}' would run Python from the file."
            raise ConversionError(
                msg, remedy=f"Replace it by a built-in layer. If you trust the file: {_REMEDY_EXPORT}"
            )


def _nodes(value: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - a JSON value
    """Yield every object in a JSON value, without recursion: the file decides how deep it is."""
    rest = [value]
    while rest:
        node = rest.pop()
        if isinstance(node, dict):
            yield node
            rest += reversed(node.values())
        elif isinstance(node, list):
            rest += reversed(node)


def _load(path: Path) -> Any:  # noqa: ANN401 - a Keras model
    import keras

    class DepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc]
        """Keras 2 wrote `groups`, which is always 1 and which Keras 3 refuses."""

        def __init__(self, *args: Any, groups: int = 1, **kwargs: Any) -> None:  # noqa: ANN401
            super().__init__(*args, **kwargs)

    # Only the old format needs it.
    shim = {} if path.suffix.lower() == ".keras" else {"DepthwiseConv2D": DepthwiseConv2D}
    try:
        return keras.saving.load_model(path, custom_objects=shim, compile=False, safe_mode=True)
    except (TypeError, ValueError, OSError, KeyError, AttributeError) as err:
        reason = " ".join(str(err).split())
        msg = f"Keras cannot load '{path}': {reason[:300]}"
        raise ConversionError(msg, remedy=f"If it has layers of your own: {_REMEDY_EXPORT}") from err


def _input_structure(model: Any, path: Path) -> Any:  # noqa: ANN401 - a Keras model
    """Return the symbolic inputs of a functional or sequential model, nested as it is called."""
    import keras

    if isinstance(model, keras.Sequential):
        structure = model.inputs[0] if model.inputs else None  # None where it was never built
    else:
        structure = getattr(model, "input", None)  # a subclassed model has none
    if structure is None:
        msg = f"'{path}' does not say what shape its inputs have."
        remedy = f"Begin the model with `keras.Input(shape)`, or: {_REMEDY_EXPORT}"
        raise ConversionError(msg, remedy=remedy)
    return structure
