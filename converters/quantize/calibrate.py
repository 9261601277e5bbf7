"""The ranges of activations over representative data: taken once, used by every precision.

Rules:
    * A range is the true minimum and maximum over all samples. litert-quantizer's own default is a moving
      average, which depends on the order of the samples and clips what came early.
    * Ranges are taken by LiteRT's own profiler in C++ (one run a sample), about ten times faster than reading
      every tensor in Python, with the same values.
    * The cache is a JSON file named by model and data, so it can never be used for others.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.converters.errors import ConversionError
from edgepack.converters.quantize.execute import batches
from edgepack.converters.quantize.quiet import quiet
from edgepack.converters.runtime import LiteRtModel
from edgepack.converters.tflite.reader import read_graph
from edgepack.converters.tflite.writer import normalize

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edgepack.converters.artifacts import FloatModel
    from edgepack.converters.data.dataset import Dataset

_VERSION = 1


@dataclass(frozen=True)
class Calibration:
    """What the activations of a model did over representative data.

    Attributes:
        key: Hash of the model and the samples that these ranges belong to.
        samples: Number of samples.
        ranges: Tensor name to (minimum, maximum), in real values.
    """

    key: str
    samples: int
    ranges: Mapping[str, tuple[float, float]]

    def to_quantizer(self) -> dict[str, dict[str, Any]]:
        """Return the ranges as litert-quantizer takes them ("quantization statistics values")."""
        return {
            name: {"min": np.array([low], np.float32), "max": np.array([high], np.float32)}
            for name, (low, high) in self.ranges.items()
        }


def calibrate(
    model: FloatModel, representative: Dataset, *, cache: Path | None = None, content: bytes | None = None
) -> Calibration:
    """Run the float model over the samples and return the range of every tensor.

    Args:
        model: The float model.
        representative: Samples like those that the device will see.
        cache: A folder to keep the result in and to take it from; None keeps nothing.
        content: The normalized bytes of the model, where the caller has them already; None reads the file.

    Raises:
        DataError: The samples do not fit the model.
        ConversionError: A tensor became NaN or infinite, or LiteRT failed.
    """
    key = calibration_key(model, representative)
    file = None if cache is None else cache / f"calibration-{key[:16]}.json"
    stored = None if file is None else _read(file, key)
    if stored is not None:
        return stored
    ranges = _ranges(content or normalize(model.path.read_bytes()), representative)
    for name, (low, high) in ranges.items():
        if not (math.isfinite(low) and math.isfinite(high)):
            msg = f"{model.path}: tensor '{name}' reaches {low} to {high} on {representative.path}."
            raise ConversionError(msg, remedy="Check the model and the scaling of the data under [data].")
    calibration = Calibration(key, len(representative), ranges)
    if file is not None:
        _write(file, calibration)
    return calibration


def calibration_key(model: FloatModel, representative: Dataset) -> str:
    """Return the hash of the model and of the samples as they enter it, scaling included."""
    digest = hashlib.sha256(f"{_VERSION}\0{model.sha256}".encode())
    for array in representative.inputs:
        digest.update(f"\0{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _ranges(content: bytes, representative: Dataset) -> dict[str, tuple[float, float]]:
    """Return tensor name to (minimum, maximum) over all samples."""
    runner = LiteRtModel.open(content)  # also checks the samples, and announces the delegate quietly
    signature = next(s for s in read_graph(content).signatures if s.subgraph == 0)
    names = {index: name for name, index in signature.inputs.items()}
    samples = [
        {names[details.index]: array for details, array in zip(runner.inputs, batch, strict=True)}
        for batch in batches(runner, representative)
    ]
    from litert_quantizer import calibrator, recipe, recipe_manager
    from litert_quantizer.utils import qsv_utils

    with quiet():
        manager = recipe_manager.RecipeManager()
        manager.load_quantization_recipe(recipe.static_wi8_ai8())
        run = calibrator.Calibrator(
            content,
            num_threads=1,
            mode=calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED,
            qsv_update_func=qsv_utils.min_max_update,
        )
        try:
            run.calibrate({signature.key: samples}, manager)
        except (ValueError, RuntimeError, KeyError) as err:
            msg = f"Calibrating on {representative.path} failed: {err}"
            raise ConversionError(msg, remedy="Check that the model runs: `edgepack inspect MODEL`.") from err
    statistics = run.get_model_qsvs()
    return {name: (float(np.min(s["min"])), float(np.max(s["max"]))) for name, s in statistics.items() if s}


def _read(file: Path, key: str) -> Calibration | None:
    """Return the cached calibration; None where there is none, or it is damaged or another's."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
        ranges = {str(name): (float(low), float(high)) for name, (low, high) in value["ranges"].items()}
        return Calibration(key, int(value["samples"]), ranges) if value["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write(file: Path, calibration: Calibration) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    value = {"key": calibration.key, "samples": calibration.samples, "ranges": dict(calibration.ranges)}
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(value), encoding="utf-8")
    partial.replace(file)
