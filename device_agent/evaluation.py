"""The outputs of the packed evaluation set, computed on the device; the host computes the metric."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from .golden import read_tensors
from .runners.litert import Runner

if TYPE_CHECKING:
    from pathlib import Path

_MAX_EVALUATION_BYTES = 64 << 20


def evaluation(kind: str, folder: Path, manifest: dict[str, Any], threads: int) -> dict[str, Any]:
    """Run the packed evaluation set and return the raw outputs; the host computes the metric.

    Returns:
        `evaluation` of the job's record: `count` and `outputs`, each with its bytes as base64.
    """
    import numpy as np

    plan = manifest["evaluation"]
    if plan is None:
        return {"unavailable": "the package holds no evaluation set"}
    runner = Runner(kind, folder, manifest, threads=threads)
    count, specs = plan["count"], manifest["outputs"]
    size = sum(int(np.prod(spec["shape"])) * np.dtype(spec["dtype"]).itemsize for spec in specs) * count
    if size > _MAX_EVALUATION_BYTES:
        reason = f"the outputs of {count} samples have {size} bytes; {_MAX_EVALUATION_BYTES} are allowed"
        return {"unavailable": reason}
    inputs = read_tensors(folder, plan["inputs"], [_stacked(spec, count) for spec in manifest["inputs"]])
    outputs = [np.empty([count, *spec["shape"]], spec["dtype"]) for spec in specs]
    for index in range(count):
        runner.set_inputs([array[index] for array in inputs])
        runner.invoke()
        for target, value in zip(outputs, runner.outputs()):
            target[index] = value
    return {"count": count, "outputs": [_encode(spec, value) for spec, value in zip(specs, outputs)]}


def _stacked(spec: dict[str, Any], count: int) -> dict[str, Any]:
    return {**spec, "shape": [count, *spec["shape"]]}


def _encode(spec: dict[str, Any], values: Any) -> dict[str, Any]:
    shape = list(values.shape)
    if len(shape) > 1 and shape[1] == 1:  # a batch of 1: the sample's axis takes its place
        del shape[1]
    data = base64.b64encode(values.tobytes()).decode("ascii")
    return {"name": spec["name"], "dtype": spec["dtype"], "shape": shape, "base64": data}
