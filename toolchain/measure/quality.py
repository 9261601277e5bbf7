"""How good a model is on the device: the build's metric on the outputs that the device computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgepack.converters.data.dataset import Dataset
from edgepack.converters.quantize.affine import dequantize_array
from edgepack.converters.quantize.metrics import find_metric

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from edgepack.converters.quantize.metrics import Score
    from edgepack.toolchain.measure.device_package import DevicePackage
    from edgepack.toolchain.packaging.archive import OpenPackage
    from edgepack.toolchain.packaging.manifest import TensorSpec


def device_quality(
    package: OpenPackage | DevicePackage, *, folder: Path
) -> Callable[[tuple[NDArray[np.float32], ...]], Score] | None:
    """Return the function that scores a device's outputs over the package's own evaluation set.

    Args:
        package: The package that was measured.
        folder: The project's folder, from which a metric of the user's own is imported.

    Returns:
        From the dequantized outputs, one array `[count, ...]` each, to the score. None where the package
        holds no evaluation set.
    """
    manifest = package.manifest
    if manifest.evaluation is None:
        return None
    evaluation = manifest.evaluation
    inputs = tuple(
        _real(np.frombuffer(package.read(path), dtype=_dtype(spec.dtype)), spec, evaluation.count)
        for path, spec in zip(evaluation.inputs, manifest.inputs, strict=True)
    )
    labels = None
    if evaluation.labels is not None:
        labels = np.frombuffer(package.read(evaluation.labels), dtype="<i8").astype(np.int64)
    data = Dataset(inputs, labels, (), package.path, manifest.package_id)
    metric = find_metric(evaluation.metric, folder=folder)
    # What needs the float model's outputs (agreement, fidelity) is not packed: see packaging/pack.py.
    return lambda outputs: metric.score(outputs, data, ())


def _dtype(name: str) -> np.dtype[np.generic]:
    little_endian: np.dtype[np.generic] = np.dtype(name).newbyteorder("<")
    return little_endian


def _real(values: NDArray[np.generic], spec: TensorSpec, count: int) -> NDArray[np.generic]:
    """Return packed inputs as the real values that the metric reads: [count, *sample_shape]."""
    array = values.reshape(count, *spec.shape[1:])
    if spec.scale is None or spec.zero_point is None:
        return array
    return dequantize_array(array, spec.scale, spec.zero_point)
