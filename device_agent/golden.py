"""Does this device compute what the host computed? The package's golden inputs, run and compared.

The tolerance is the package's own: bit-exactness across kernels does not exist (XNNPACK's paths differ by
CPU), but a device that silently computes something else must not pass. A NaN where the host had none never
passes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import AgentError
from .runners.litert import Runner

if TYPE_CHECKING:
    from pathlib import Path


def check_golden(kind: str, folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Run every golden case and compare.

    Returns:
        What PROTOCOL.md shows as `golden`: `cases`, `max_error`, `unit`, `tolerance`, `top1_agreement`.

    Raises:
        AgentError: `golden_mismatch`: an output is off by more than the tolerance.
    """
    runner = Runner(kind, folder, manifest)
    tolerance = manifest["golden_tolerance"]
    worst, agreeing = 0.0, 0
    for index, case in enumerate(manifest["golden"]):
        runner.set_inputs(read_tensors(folder, case["inputs"], manifest["inputs"]))
        runner.invoke()
        expected = read_tensors(folder, case["outputs"], manifest["outputs"])
        actual = runner.outputs()
        for spec, one, other in zip(manifest["outputs"], actual, expected):
            error = max_error(one, other)
            if not error <= tolerance["max_error"]:
                raise _mismatch(index, spec["name"], error, tolerance)
            worst = max(worst, error)
        agreeing += all(top1_agrees(one, other) for one, other in zip(actual, expected))
    agreement = agreeing / len(manifest["golden"])
    wanted = tolerance["min_top1_agreement"]
    if wanted is not None and agreement < wanted:
        message = f"The top class agrees with the host's in {agreement:.0%} of the golden cases; "
        message += f"{wanted:.0%} are needed."
        raise AgentError("golden_mismatch", message, _REMEDY)
    return {
        "cases": len(manifest["golden"]),
        "max_error": worst,
        "unit": tolerance["unit"],
        "tolerance": tolerance["max_error"],
        "top1_agreement": None if wanted is None else agreement,
    }


def read_tensors(folder: Path, paths: list[str], specs: list[dict[str, Any]]) -> list[Any]:
    """Return raw little-endian tensors from files, in the dtype and shape of their specifications.

    Raises:
        AgentError: `bad_package`: a file has another size than its tensor.
    """
    import numpy as np

    arrays = []
    for path, spec in zip(paths, specs):
        dtype = np.dtype(spec["dtype"]).newbyteorder("<")
        data = (folder / path).read_bytes()
        if len(data) != dtype.itemsize * int(np.prod(spec["shape"], dtype=np.int64)):
            message = f"{path} has {len(data)} bytes, which is not {spec['dtype']} {spec['shape']}."
            raise AgentError("bad_package", message, "Build the package again.")
        arrays.append(np.frombuffer(data, dtype).astype(spec["dtype"]).reshape(spec["shape"]))
    return arrays


def max_error(actual: Any, expected: Any) -> float:
    """Return the largest absolute difference; infinity where one of two values is no number, or sizes differ.

    Args:
        actual: Any shape; a number type.
        expected: The same shape.
    """
    import numpy as np

    if actual.shape != expected.shape:
        return float("inf")
    one, other = actual.astype(np.float64), expected.astype(np.float64)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0.0, np.abs(one - other))
    return float(np.max(np.where(np.isnan(difference), np.inf, difference), initial=0.0))


def top1_agrees(actual: Any, expected: Any) -> bool:
    """Return whether the expected class scores highest in every row (first axis: batch), ties allowed."""
    rows = expected.shape[0] if expected.ndim > 1 else 1
    one, other = actual.reshape(rows, -1), expected.reshape(rows, -1)
    return bool((one[range(rows), other.argmax(axis=1)] == one.max(axis=1)).all())


def _mismatch(index: int, name: str, error: float, tolerance: dict[str, Any]) -> AgentError:
    unit = "quantized steps" if tolerance["unit"] == "quantized_steps" else "(absolute)"
    message = f"Golden case {index}: the output {name!r} is off by {error:g} {unit}; "
    message += f"{tolerance['max_error']:g} is allowed."
    return AgentError("golden_mismatch", message, _REMEDY)


_REMEDY = (
    "The device's runtime or CPU computes something else than the host: try another runtime version for it."
)
