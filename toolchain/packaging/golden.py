"""Choose the golden cases of a package: inputs with the outputs that a device must reproduce.

A device that computes something else than the host must not get the package, and one that only rounds
otherwise must. How far honest kernels differ is measured, not guessed: each candidate runs through the
host's sets of kernels, and the cases on which they agree best are kept, because a small tolerance catches
more. (With random inputs a softmax can turn a difference of one step into dozens.)

Rules:
    * The same model and samples give the same cases and the same tolerance: no clock, fixed seed.
    * The golden outputs are those of the default kernels, which devices use.
    * The reason, in the manifest, says what was measured and what was added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.converters.errors import ConversionError
from edgepack.converters.runtime import LiteRtModel
from edgepack.toolchain.errors import PackageError
from edgepack.toolchain.packaging.manifest import GoldenCase, GoldenTolerance

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgepack.converters.runtime import Kernels, TensorDetails

    Arrays = tuple[np.ndarray[Any, Any], ...]

CASES = 8
_CANDIDATES_A_CASE = 4
_LARGE_MODEL_BYTES = 4 << 20
_LARGE_INPUT_ELEMENTS = 256 * 256 * 3
_SEED = 20_261_122

FLOAT_FLOOR = 1e-5
"""Least tolerance of a float model, as a share of its output range: single precision sums in another order,
as another instruction set takes them, differ by some 1e-6 of the range."""

QUANTIZED_FLOAT_FLOOR = 2e-2
"""Least tolerance of float outputs behind quantized layers (dynamic-int8, int8 with float in and out), as a
share of the output range: one activation that rounds to the next of 255 levels moves an output by some 0.4 %
of its range, and a few of them add up."""

_FLOAT_PRECISIONS = ("float32", "float16")


@dataclass(frozen=True)
class Golden:
    """Golden cases and how far a device may be from them.

    Attributes:
        inputs: For each case, one array an input.
        outputs: For each case, one array an output, by the host's default kernels.
        tolerance: How far a device may be off, and why.
    """

    inputs: tuple[Arrays, ...]
    outputs: tuple[Arrays, ...]
    tolerance: GoldenTolerance


@dataclass(frozen=True)
class _Candidate:
    """An input that has been run. `spread` is the largest difference between the sets of kernels."""

    inputs: Arrays
    outputs: Arrays
    spread: float


def choose_golden(
    model: Path,
    samples: Sequence[Sequence[np.ndarray[Any, Any]]] | None = None,
    *,
    precision: str,
    class_scores: bool,
    count: int = CASES,
) -> Golden:
    """Choose golden cases for a model and find their tolerance.

    Args:
        model: The `.tflite` that will be deployed.
        samples: Representative or evaluation samples, each one array an input, in the model's own input shape
            and type (quantized already where the input is). None: random inputs from a fixed seed.
        precision: The model's precision; decides the floor of the tolerance of float outputs.
        class_scores: Whether the first output holds class scores, so that its arg max means something.
        count: Most cases to keep, 1 to 64.

    Raises:
        ConversionError: The model cannot be loaded or run.
        PackageError: There is no input whose outputs are finite numbers.
    """
    sets = _kernel_sets(model)
    inputs = _candidate_inputs(model, samples, sets[0][1].inputs, count)
    measured = [candidate for each in inputs if (candidate := _measure(each, [m for _, m in sets]))]
    if not measured:
        message = f"The model '{model}' gives no finite output for any of {len(inputs)} golden inputs."
        raise PackageError(
            message,
            remedy="Check the model and its data: `edgepack inspect` shows its inputs and their ranges.",
        )
    chosen = _choose(measured, count)
    names = tuple(name for name, _ in sets)
    tolerance = _tolerance(chosen, precision=precision, class_scores=class_scores, kernels=names)
    return Golden(
        inputs=tuple(c.inputs for c in chosen), outputs=tuple(c.outputs for c in chosen), tolerance=tolerance
    )


def golden_case_files(golden: Golden) -> tuple[list[GoldenCase], dict[str, bytes]]:
    """Return the cases as the manifest names them, and their files: raw tensors, little-endian, C order."""
    cases: list[GoldenCase] = []
    files: dict[str, bytes] = {}
    for number, (inputs, outputs) in enumerate(zip(golden.inputs, golden.outputs, strict=True)):
        named = {"input": inputs, "output": outputs}
        paths = {
            kind: [f"golden/{number:02d}/{kind}-{index:02d}.bin" for index in range(len(arrays))]
            for kind, arrays in named.items()
        }
        for kind, arrays in named.items():
            files |= dict(zip(paths[kind], map(little_endian, arrays), strict=True))
        cases.append(GoldenCase(inputs=paths["input"], outputs=paths["output"]))
    return cases, files


def little_endian(array: np.ndarray[Any, Any]) -> bytes:
    """Return an array's bytes in C order, little-endian, as every tensor file of a package holds them."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()


def random_inputs(details: Sequence[TensorDetails], count: int) -> list[Arrays]:
    """Return inputs that differ in level and contrast, in the model's own types; the same on every call.

    Quantized inputs cover their whole range. Float inputs alternate between 0..1 and -2..2, the two habits of
    pre-processing. Other integers are 0 or 1: valid indices wherever there are two entries.
    """
    generator = np.random.Generator(np.random.PCG64(_SEED))
    return [tuple(_random_array(d, generator, number) for d in details) for number in range(count)]


def _random_array(
    details: TensorDetails, generator: np.random.Generator, number: int
) -> np.ndarray[Any, Any]:
    dtype, shape = details.dtype, details.shape
    if dtype == np.bool_ or (dtype.kind in "iu" and details.scale is None):
        return generator.integers(0, 2, shape).astype(dtype)
    contrast, level = 1 / (1 + number % 3), generator.uniform(0.2, 0.8)
    unit = np.clip(level + contrast * (generator.uniform(0, 1, shape) - 0.5), 0, 1)
    if dtype.kind == "f":
        return (unit if number % 2 == 0 else 4 * unit - 2).astype(dtype)
    limits = np.iinfo(dtype)
    low = 0 if dtype == np.uint8 else -int(limits.max)  # symmetric, as int16x8 demands
    return np.rint(low + unit * (int(limits.max) - low)).astype(dtype)


def _is_large(model: Path, details: Sequence[TensorDetails]) -> bool:
    elements = sum(int(np.prod(d.shape)) for d in details)
    return model.stat().st_size > _LARGE_MODEL_BYTES or elements > _LARGE_INPUT_ELEMENTS


def _kernel_sets(model: Path) -> list[tuple[Kernels, LiteRtModel]]:
    """Load the model with each set of kernels, the default first; the slow reference ones if it is small."""
    default = LiteRtModel.open(model, kernels="default")
    others: list[Kernels] = ["builtin"] if _is_large(model, default.inputs) else ["builtin", "reference"]
    sets: list[tuple[Kernels, LiteRtModel]] = [("default", default)]
    for kernels in others:
        try:
            sets.append((kernels, LiteRtModel.open(model, kernels=kernels)))
        except ConversionError:  # an operator that this set lacks; the others still measure the spread
            continue
    return sets


def _candidate_inputs(
    model: Path,
    samples: Sequence[Sequence[np.ndarray[Any, Any]]] | None,
    details: Sequence[TensorDetails],
    count: int,
) -> list[Arrays]:
    wanted = count * (2 if _is_large(model, details) else _CANDIDATES_A_CASE)
    if not samples:
        return random_inputs(details, wanted)
    picked = np.unique(np.linspace(0, len(samples) - 1, min(wanted, len(samples))).round().astype(int))
    return [tuple(np.asarray(array) for array in samples[index]) for index in picked]


def _measure(inputs: Arrays, models: Sequence[LiteRtModel]) -> _Candidate | None:
    """Run an input through every set of kernels; None where an output is not finite."""
    runs = []
    for model in models:
        try:
            runs.append(tuple(model.run(inputs)))
        except ConversionError:
            if model is models[0]:
                raise
    if not all(np.isfinite(output).all() for run in runs for output in run):
        return None
    return _Candidate(inputs, runs[0], max((_difference(runs[0], run) for run in runs[1:]), default=0.0))


def _difference(left: Arrays, right: Arrays) -> float:
    """Return the largest absolute difference between two runs' outputs."""
    pairs = zip(left, right, strict=True)
    gaps = [np.abs(a.astype(np.float64) - b.astype(np.float64)).max(initial=0.0) for a, b in pairs]
    return float(max(gaps))


def _choose(candidates: Sequence[_Candidate], count: int) -> list[_Candidate]:
    """Take the candidates of least spread whose outputs differ, one of each arg max before a second."""
    chosen: list[_Candidate] = []
    seen_outputs: set[bytes] = set()
    seen_classes: set[int] = set()
    ranked = sorted(candidates, key=lambda candidate: candidate.spread)  # stable: ties keep their order
    for new_class_only in (True, False):
        for candidate in ranked:
            key = b"".join(little_endian(output) for output in candidate.outputs)
            arg_max = int(np.argmax(candidate.outputs[0]))
            if len(chosen) == count or key in seen_outputs or (new_class_only and arg_max in seen_classes):
                continue
            chosen.append(candidate)
            seen_outputs.add(key)
            seen_classes.add(arg_max)
    return chosen


def _tolerance(
    cases: Sequence[_Candidate], *, precision: str, class_scores: bool, kernels: tuple[str, ...]
) -> GoldenTolerance:
    spread = max(case.spread for case in cases)
    measured = f"on {len(cases)} cases the host's {', '.join(kernels)} kernels differ by at most {spread:.6g}"
    if all(output.dtype.kind != "f" for output in cases[0].outputs):
        top1 = _safe_share(cases, max(2 * spread, 1.0)) if class_scores else None
        return GoldenTolerance(
            max_error=max(1.0, 2 * spread + 1),
            unit="quantized_steps",
            min_top1_agreement=top1,
            reason=f"{measured} quantized steps; the tolerance is twice that plus one",
        )
    extent = max(_extent([case.outputs[index] for case in cases]) for index in range(len(cases[0].outputs)))
    floor = FLOAT_FLOOR if precision in _FLOAT_PRECISIONS else QUANTIZED_FLOAT_FLOOR
    max_error = max(floor * extent, 4 * spread)
    return GoldenTolerance(
        max_error=max_error,
        unit="absolute",
        min_top1_agreement=_safe_share(cases, max(2 * spread, floor * extent)) if class_scores else None,
        reason=f"{measured}; the tolerance is four times that, at least {floor:g} of the range {extent:.4g}",
    )


def _extent(outputs: Sequence[np.ndarray[Any, Any]]) -> float:
    """Return the range of an output over all cases; of a constant one, its size; of zeros, 1."""
    values = np.concatenate([output.astype(np.float64).ravel() for output in outputs])
    return float(np.ptp(values)) or float(np.abs(values).max()) or 1.0


def _safe_share(cases: Sequence[_Candidate], margin: float) -> float:
    """Return the share of cases whose arg max leads by more than a margin: a device must find the same."""
    scores = [np.sort(case.outputs[0].astype(np.float64).ravel()) for case in cases]
    leads = [top[-1] - top[-2] for top in scores if top.size > 1]
    return sum(bool(lead > margin) for lead in leads) / len(leads) if leads else 1.0
