"""Run a model over a data set, float or quantized alike: real values in, real values out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.converters.errors import DataError
from edgepack.converters.quantize.affine import dequantize_array, quantize_array

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edgepack.converters.data.dataset import Dataset
    from edgepack.converters.runtime import LiteRtModel, TensorDetails


def run_dataset(model: LiteRtModel, dataset: Dataset) -> tuple[NDArray[np.float32], ...]:
    """Run every sample; return one float32 array an output, `[n, *output_shape_without_batch]`.

    Raises:
        DataError: The samples do not fit the model.
        ConversionError: A kernel failed.
    """
    parts: list[list[NDArray[Any]]] = [[] for _ in model.outputs]
    for batch in batches(model, dataset):
        for column, output in zip(parts, model.run(batch), strict=True):
            column.append(output)
    return tuple(
        to_real(np.concatenate(column), details)[: len(dataset)]
        for column, details in zip(parts, model.outputs, strict=True)
    )


def batches(model: LiteRtModel, dataset: Dataset) -> Iterator[list[NDArray[Any]]]:
    """Yield the samples in the model's batch and type; the last batch repeats its last sample.

    Raises:
        DataError: The samples do not fit the model.
    """
    _check_fits(model, dataset)
    size = model.inputs[0].shape[0]
    inputs = [from_real(array, details) for array, details in zip(dataset.inputs, model.inputs, strict=True)]
    count = len(dataset)
    for start in range(0, count, size):
        rows = slice(start, start + size)
        if start + size <= count:
            yield [array[rows] for array in inputs]
        else:
            repeat = np.minimum(np.arange(start, start + size), count - 1)
            yield [array[repeat] for array in inputs]


def from_real(array: NDArray[Any], details: TensorDetails) -> NDArray[Any]:
    """Return real values as the tensor holds them; whole-number inputs such as token ids are only cast."""
    if details.scale is None or details.zero_point is None or array.dtype.kind != "f":
        return array.astype(details.dtype, copy=False)
    return quantize_array(array, details.scale, details.zero_point, details.dtype)


def to_real(array: NDArray[Any], details: TensorDetails) -> NDArray[np.float32]:
    """Return what a tensor's values stand for, float32."""
    if details.scale is None or details.zero_point is None or array.dtype.kind == "f":
        return array.astype(np.float32, copy=False)
    return dequantize_array(array, details.scale, details.zero_point)


def _check_fits(model: LiteRtModel, dataset: Dataset) -> None:
    found = [list(array.shape[1:]) for array in dataset.inputs]
    expected = [list(details.shape[1:]) for details in model.inputs]
    if found != expected or not len(dataset):
        msg = f"{dataset.path}: {len(dataset)} samples of {found}; the model takes {expected}."
        raise DataError(msg, remedy="Use data of the model's own input shapes: see `edgepack inspect`.")
