"""Import a TensorFlow SavedModel folder.

The inputs come from the signature, in the order of their names; so do the outputs. Some SavedModels (of
TensorFlow 1, or of Keras 2 with its optimizer) cannot be loaded as objects by a current TensorFlow: these go
through the TensorFlow 1 converter, which reads the graph alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.converters.errors import ConversionError
from edgepack.converters.importers.agreement import check_agreement
from edgepack.converters.importers.fixed_shape import fixed_shape
from edgepack.converters.importers.tensorflow_child import convert_function, convert_in_child, write_tflite

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgepack.converters.importers.job import ImportedTools, ImportJob

_DEFAULT_SIGNATURE = "serving_default"
_INTERNAL_SIGNATURES = ("__saved_model_init_op", "__saved_model_train_op")


def import_saved_model(job: ImportJob) -> ImportedTools:
    """Convert a SavedModel folder.

    Raises:
        MissingExtraError: TensorFlow is not installed.
        ConversionError: The folder is broken, has no usable signature, or cannot be converted.
    """
    function = "edgepack.converters.importers.saved_model:convert_in_this_process"
    return convert_in_child(function, job, "a SavedModel")


def convert_in_this_process(request: Mapping[str, Any]) -> dict[str, Any]:
    """Convert `request["source"]`. Imports TensorFlow; runs in the child."""
    import tensorflow as tf

    source, output = request["source"], Path(request["output"])
    signature, tensors, tags = _read_signature(source)
    shapes = {name: _shape(source, name, tensor, request["batch"]) for name, tensor in tensors.items()}
    served = _load(source, signature, tags)
    if served is None:
        write_tflite(_graph_converter(source, signature, tensors, shapes, tags), source, output)
        check_agreement(
            source, output, lambda arrays: _run_graph(source, signature, tags, list(tensors), arrays)
        )
        return {}
    specs = [tf.TensorSpec(shapes[name], tf.as_dtype(tensor.dtype), name) for name, tensor in tensors.items()]

    @tf.function(input_signature=specs)  # type: ignore[untyped-decorator]
    def forward(*arrays: Any) -> list[Any]:  # noqa: ANN401 - tensors of the untyped library
        outputs = served(**dict(zip(tensors, arrays, strict=True)))
        return [outputs[name] for name in sorted(outputs)]

    convert_function(forward.get_concrete_function(), request, output)
    return {}


def _load(source: str, signature: str, tags: list[str]) -> Any:  # noqa: ANN401 - a function, or None
    """Return the signature as a function; None where this TensorFlow cannot load the objects."""
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(source, tags=tags)
        served = loaded.signatures[signature]
    except Exception:
        import traceback

        traceback.print_exc()  # into the log
        return None
    served.edgepack_owner = loaded  # the variables live as long as their owner
    return served


def _read_signature(source: str) -> tuple[str, dict[str, Any], list[str]]:
    """Return the signature to convert, its inputs (name to TensorInfo, sorted by name), and the tags."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    model = SavedModel()
    try:
        model.ParseFromString((Path(source) / "saved_model.pb").read_bytes())
    except DecodeError as err:
        msg = f"'{source}/saved_model.pb' is damaged: it is not a SavedModel protocol buffer."
        raise ConversionError(msg, remedy="Export or download the model again.") from err
    graphs = [graph for graph in model.meta_graphs if "serve" in graph.meta_info_def.tags]
    if not graphs:
        msg = f"'{source}' holds no graph for serving."
        raise ConversionError(msg, remedy="Export it with `model.export('folder')` or `tf.saved_model.save`.")
    signatures = {
        name: definition
        for name, definition in graphs[0].signature_def.items()
        if name not in _INTERNAL_SIGNATURES and definition.inputs
    }
    name = _DEFAULT_SIGNATURE if _DEFAULT_SIGNATURE in signatures else next(iter(sorted(signatures)), None)
    if name is None or (name != _DEFAULT_SIGNATURE and len(signatures) > 1):
        found = ", ".join(sorted(signatures)) or "none"
        msg = f"'{source}' has no signature '{_DEFAULT_SIGNATURE}'; found: {found}."
        raise ConversionError(
            msg, remedy=f"Export it with `tf.saved_model.save(…, signatures={{'{_DEFAULT_SIGNATURE}': f}})`."
        )
    inputs = {key: signatures[name].inputs[key] for key in sorted(signatures[name].inputs)}
    return name, inputs, list(graphs[0].meta_info_def.tags)


def _shape(source: str, name: str, tensor: Any, batch: int) -> tuple[int, ...]:  # noqa: ANN401 - a TensorInfo
    if tensor.tensor_shape.unknown_rank:
        msg = f"Input '{name}' of '{source}' has no shape."
        raise ConversionError(msg, remedy="Export the model with a fixed input shape.")
    sizes = [None if dim.size < 0 else dim.size for dim in tensor.tensor_shape.dim]
    return fixed_shape(source, name, sizes, batch)


def _graph_converter(
    source: str,
    signature: str,
    tensors: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
    tags: list[str],
) -> Any:  # noqa: ANN401 - a converter
    import tensorflow as tf

    names = {name: tensor.name.partition(":")[0] for name, tensor in tensors.items()}
    return tf.compat.v1.lite.TFLiteConverter.from_saved_model(
        source,
        input_arrays=[names[name] for name in tensors],
        input_shapes={names[name]: list(shape) for name, shape in shapes.items()},
        tag_set=set(tags),
        signature_key=signature,
    )


def _run_graph(
    source: str, signature: str, tags: list[str], names: list[str], arrays: list[Any]
) -> list[Any]:
    """Run the graph in a TensorFlow 1 session; outputs in the order of the signature's tensors' names."""
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, tags, source).signature_def[signature]
        outputs = sorted(tensor.name for tensor in graph.outputs.values())
        feed = {graph.inputs[name].name: array for name, array in zip(names, arrays, strict=True)}
        return list(session.run(outputs, feed))
