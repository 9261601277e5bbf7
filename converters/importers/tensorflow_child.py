"""What the Keras and SavedModel importers share: TensorFlow, in a child process.

TensorFlow takes about ten seconds and 500 MB to import and writes to the terminal, so it never enters the
process of edgepack itself. The functions below that take TensorFlow values run in the child only.
"""

from __future__ import annotations

import importlib.util
import re
from typing import TYPE_CHECKING, Any

from edgepack.converters.errors import MissingExtraError, UnsupportedOpError
from edgepack.converters.importers.agreement import check_agreement
from edgepack.converters.importers.job import CONVERSION_TIMEOUT_S, versions_of
from edgepack.converters.isolation import run_isolated

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edgepack.converters.importers.job import ImportedTools, ImportJob

_ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "-1",  # a conversion needs no GPU, and must not take one
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_ENABLE_ONEDNN_OPTS": "0",  # oneDNN sums in another order: the same inputs shall give the same file
    "TF_USE_LEGACY_KERAS": "0",
}
_UNSUPPORTED = re.compile(r"(?:Flex|Custom) ops: ([^\n]+)")


def convert_in_child(function: str, job: ImportJob, form: str) -> ImportedTools:
    """Run a conversion function of an importer in a child process that may import TensorFlow.

    Args:
        function: `module:function`; takes `{"source", "output", "batch"}`.
        job: What to import.
        form: What the source is, such as "a Keras model"; for messages.

    Raises:
        MissingExtraError: TensorFlow is not installed.
        ConversionError: The conversion failed.
    """
    if any(importlib.util.find_spec(module) is None for module in ("tensorflow", "keras")):
        what = f"Importing {form}"
        raise MissingExtraError(what, extra="tensorflow")
    run_isolated(
        function,
        {"source": job.source, "output": str(job.output), "batch": job.batch},
        what=f"Converting '{job.source}'",
        timeout_s=CONVERSION_TIMEOUT_S,
        environment=_ENVIRONMENT,
    )
    return versions_of("edgepack", "tensorflow", "tensorflow-cpu", "keras")


def write_tflite(converter: Any, source: str, output: Path) -> None:  # noqa: ANN401 - untyped library
    """Convert to float32 with TensorFlow Lite's own operators only, and write the file.

    Raises:
        UnsupportedOpError: The model uses operators that TensorFlow Lite does not have.
    """
    import tensorflow as tf

    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
        output.write_bytes(converter.convert())
    except Exception as err:
        operators = sorted(set(_UNSUPPORTED.findall(str(err))))
        if not operators:
            raise
        msg = f"'{source}' uses operators that TensorFlow Lite does not have: {'; '.join(operators)}."
        raise UnsupportedOpError(
            msg,
            remedy="Replace these operators in the model by ones that it has and export it again.",
        ) from err


def convert_function(function: Any, request: Mapping[str, Any], output: Path) -> None:  # noqa: ANN401
    """Convert a concrete function whose arguments are the inputs in order, and compare it with the result.

    The function is handed over alone. With the owner of its variables beside it, the converter leaves
    VAR_HANDLE and READ_VARIABLE in models of Keras 3, without values: they run, and answer garbage. It would
    also sort the outputs by name, "output_10" before "output_2".
    """
    import tensorflow as tf

    source = request["source"]
    write_tflite(tf.lite.TFLiteConverter.from_concrete_functions([function]), source, output)

    def original(inputs: list[Any]) -> list[Any]:
        return [array.numpy() for array in tf.nest.flatten(function(*map(tf.constant, inputs)))]

    check_agreement(source, output, original)
