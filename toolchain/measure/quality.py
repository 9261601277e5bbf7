"""How good a model is on the device: the build's metric on the outputs that the device computed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
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


Outputs = tuple["NDArray[np.float32]", ...]


@dataclass(frozen=True)
class DeviceQuality:
    """How the outputs of a device are judged. Called with them, it returns their score.

    Attributes:
        score: From the dequantized outputs, one array `[count, ...]` each, to the score.
        hits: From the same to which samples are right, bool `[count]`; None where the metric counts none.
        labels_sha256: SHA-256 of the packed labels; None where there are none.
    """

    score: Callable[[Outputs], Score]
    hits: Callable[[Outputs], NDArray[np.bool_]] | None = None
    labels_sha256: str | None = None

    def __call__(self, outputs: Outputs) -> Score:
        """Return the score of the outputs."""
        return self.score(outputs)


def device_quality(package: OpenPackage | DevicePackage, *, folder: Path) -> DeviceQuality | None:
    """Return the function that scores a device's outputs over the package's own evaluation set.

    Args:
        package: The package that was measured.
        folder: The project's folder, from which a metric of the user's own is imported.

    Returns:
        None where the package holds no evaluation set.
    """
    manifest = package.manifest
    if manifest.evaluation is None:
        return None
    evaluation = manifest.evaluation
    inputs = tuple(
        _real(np.frombuffer(package.read(path), dtype=_dtype(spec.dtype)), spec, evaluation.count)
        for path, spec in zip(evaluation.inputs, manifest.inputs, strict=True)
    )
    labels = labels_sha256 = None
    if evaluation.labels is not None:
        packed = package.read(evaluation.labels)
        labels = np.frombuffer(packed, dtype="<i8").astype(np.int64)
        labels_sha256 = hashlib.sha256(packed).hexdigest()
    data = Dataset(inputs, labels, (), package.path, manifest.package_id)
    metric = find_metric(evaluation.metric, folder=folder)
    # What needs the float model's outputs (agreement, fidelity) is not packed: see packaging/pack.py.
    hits = metric.hits
    return DeviceQuality(
        score=lambda outputs: metric.score(outputs, data, ()),
        hits=None if hits is None or labels is None else lambda outputs: hits(outputs, data, ()),
        labels_sha256=labels_sha256,
    )


def _dtype(name: str) -> np.dtype[np.generic]:
    little_endian: np.dtype[np.generic] = np.dtype(name).newbyteorder("<")
    return little_endian


def _real(values: NDArray[np.generic], spec: TensorSpec, count: int) -> NDArray[np.generic]:
    """Return packed inputs as the real values that the metric reads: [count, *sample_shape]."""
    array = values.reshape(count, *spec.shape[1:])
    if spec.scale is None or spec.zero_point is None:
        return array
    return dequantize_array(array, spec.scale, spec.zero_point)
