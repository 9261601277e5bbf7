"""Compare a converted model with the original, in the child process that still holds the original.

Converters have been seen to end well and write a wrong model, so every importer that can run the original
runs both once on the same random input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.converters.errors import ConversionError
from edgepack.converters.runtime import LiteRtModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_TOLERANCE = 1e-3  # of the largest expected value: float32 kernels that sum in another order stay far below


def random_inputs(details: Sequence[tuple[tuple[int, ...], np.dtype[Any]]]) -> list[NDArray[Any]]:
    """Return one array for each shape and type: normal for floats, 0 and 1 for integers (safe indices)."""
    rng = np.random.default_rng(0)
    return [
        rng.standard_normal(shape).astype(dtype)
        if np.issubdtype(dtype, np.floating)
        else rng.integers(0, 2, shape).astype(dtype)
        for shape, dtype in details
    ]


def check_agreement(
    source: str, output: Path, original: Callable[[list[NDArray[Any]]], Sequence[NDArray[Any]]]
) -> None:
    """Check that a converted model gives what the original gives, output by output, in the same order.

    Args:
        source: The original model, for the message.
        output: The converted `.tflite`.
        original: Runs the original on inputs in the order of the `.tflite`.

    Raises:
        ConversionError: The outputs differ in number, shape or value.
    """
    model = LiteRtModel.open(output)
    inputs = random_inputs([(details.shape, details.dtype) for details in model.inputs])
    expected, found = original(inputs), model.run(inputs)
    shapes = [array.shape for array in expected], [array.shape for array in found]
    if shapes[0] != shapes[1]:
        _disagree(source, f"its outputs have shapes {shapes[1]}, expected {shapes[0]}")
    for index, (want, got) in enumerate(zip(expected, found, strict=True)):
        scale = float(np.max(np.abs(want[np.isfinite(want)]), initial=0.0))
        if not np.allclose(got, want, rtol=0, atol=_TOLERANCE * max(scale, 1e-3), equal_nan=True):
            _disagree(source, f"output {index} differs by up to {np.nanmax(np.abs(got - want)):.3g}")


def _disagree(source: str, how: str) -> None:
    msg = f"The .tflite that '{source}' was converted to does not agree with the original: {how}."
    raise ConversionError(
        msg, remedy="Export the model in another form (SavedModel or ONNX); this one is converted wrongly."
    )
