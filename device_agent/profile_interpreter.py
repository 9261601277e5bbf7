"""A model in the runtime's `Interpreter`, inputs set, ready to be timed; and how runs are timed here.

Profiles need the plain interpreter twice: to say what profiling itself costs, and to time models that were
cut off after an operator, which no manifest describes.
"""

from __future__ import annotations

import importlib
import statistics
import time
from typing import TYPE_CHECKING, Any

from .golden import read_tensors
from .runners.litert import MODULES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROUNDS = 9
_clock = time.perf_counter_ns


def open_interpreter(kind: str, model: bytes, threads: int, delegate: str, inputs: list[Any]) -> Any:
    """Return an interpreter with its tensors allocated and its inputs filled.

    Args:
        kind: "litert" or "tflite-runtime".
        model: Bytes of a `.tflite`.
        threads: Number of threads.
        delegate: "xnnpack", or "none" for the built-in kernels.
        inputs: Arrays of the model's inputs, in its order.

    Raises:
        ValueError: The runtime does not take the model.
        RuntimeError: The same, at a later step.
    """
    module = importlib.import_module(f"{MODULES[kind]}.interpreter")
    options: dict[str, Any] = {"model_content": model, "num_threads": threads}
    if delegate == "none":
        plain = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        options["experimental_op_resolver_type"] = plain
    interpreter = module.Interpreter(**options)
    for detail, array in zip(interpreter.get_input_details(), inputs):
        if list(detail["shape"]) != list(array.shape):
            interpreter.resize_tensor_input(detail["index"], list(array.shape))
    interpreter.allocate_tensors()
    for detail, array in zip(interpreter.get_input_details(), inputs):
        interpreter.set_tensor(detail["index"], array)
    return interpreter


def golden_inputs(folder: Path, manifest: dict[str, Any]) -> list[Any]:
    """Return the first golden case's inputs: data of the kind that the model is meant for."""
    return read_tensors(folder, manifest["golden"][0]["inputs"], manifest["inputs"])


def time_runs(invoke: Callable[[], object], seconds: float, *, at_least: int = 3) -> list[int]:
    """Return the durations of runs in ns, for some time."""
    samples: list[int] = []
    end = _clock() + int(seconds * 1e9)
    while len(samples) < at_least or _clock() < end:
        begin = _clock()
        invoke()
        samples.append(_clock() - begin)
    return samples


def median_and_error(rounds: list[float]) -> tuple[float, float]:
    """Return the median of `ROUNDS` repeated measurements and how far off it may be, with 95 % confidence.

    The interval from the second smallest to the second largest of 9 values holds the true median with 96 %
    (1 - 2 * (1 + 9) / 2^9), whatever their distribution; one disturbed round on either side does not matter.
    Fewer than 9 are given their whole range.

    Source: David, Nagaraja, "Order Statistics", 3rd ed., section 7.1.
    """
    ordered, middle = sorted(rounds), statistics.median(rounds)
    edge = 1 if len(ordered) >= ROUNDS else 0
    return middle, max(middle - ordered[edge], ordered[-1 - edge] - middle)
