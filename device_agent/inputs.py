"""The golden inputs as the inputs of a measurement, and the check that it computed the golden outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .golden import max_error, read_tensors
from .runners.litert import UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

    from .runners.litert import Runner


def set_golden_inputs(
    runner: Runner, folder: Path, manifest: dict[str, Any], first: int = 0
) -> list[dict[str, Any]]:
    """Fill the (resized) inputs with golden cases, one after the other along the batch.

    Args:
        runner: The model.
        folder: The package's folder.
        manifest: The package's manifest.
        first: The case of the first row; behind the last case comes the first again.

    Returns:
        The case of each row.

    Raises:
        UnsupportedError: The batch is no multiple of the one that the model was built with.
    """
    import numpy as np

    built = manifest["inputs"][0]["shape"][0] if manifest["inputs"][0]["shape"] else 1
    if runner.batch % built:
        message = f"the model is built for batch {built}; batch {runner.batch} is no multiple of it"
        raise UnsupportedError(message)
    golden = manifest["golden"]
    cases = [golden[(first + row) % len(golden)] for row in range(runner.batch // built)]
    columns = zip(*(read_tensors(folder, case["inputs"], manifest["inputs"]) for case in cases))
    runner.set_inputs([np.concatenate(column) if len(cases) > 1 else column[0] for column in columns])
    return cases


def difference(
    runner: Runner, folder: Path, manifest: dict[str, Any], cases: list[dict[str, Any]]
) -> str | None:
    """Return how the outputs differ from the golden ones of the cases; None where they do not."""
    import numpy as np

    columns = zip(*(read_tensors(folder, case["outputs"], manifest["outputs"]) for case in cases))
    tolerance = manifest["golden_tolerance"]["max_error"]
    for spec, actual, column in zip(manifest["outputs"], runner.outputs(), columns):
        error = max_error(actual, np.concatenate(column) if len(cases) > 1 else column[0])
        if not error <= tolerance:
            return (
                f"the output {spec['name']!r} is off the golden output by {error:g}; {tolerance:g} is allowed"
            )
    return None
