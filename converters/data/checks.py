"""The promises that a data set keeps, one function a promise.

Errors name the file and the index; what can be used but looks wrong is returned as a warning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgepack.converters.data.dataset import InputSpec, RawData
    from edgepack.converters.data.request import Request

FEW_SAMPLES = 50  # below this the range of activations is a guess
"""Source: TensorFlow Lite, "Post-training quantization", which asks for about 100 to 500 samples."""

UNBALANCED_RATIO = 10  # largest class to smallest


def check_counts(request: Request, raw: RawData) -> None:
    """Check that there is a sample, and that inputs and labels hold equally many.

    Raises:
        DataError: They do not.
    """
    if len(raw.inputs) != len(request.inputs):
        request.refuse(f"it gave {len(raw.inputs)} arrays; the model has {len(request.inputs)} inputs.")
    if any(array.ndim == 0 for array in raw.inputs) or len(raw.inputs[0]) == 0:
        request.refuse("there is no sample.")
    counts = {spec.name: len(array) for spec, array in zip(request.inputs, raw.inputs, strict=True)}
    if raw.labels is not None:
        counts["the labels"] = len(raw.labels) if raw.labels.ndim else 0
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{name}: {count}" for name, count in counts.items())
        request.refuse(f"the numbers of samples differ ({found}).")


def fit_shape(request: Request, spec: InputSpec, array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return `array` as `[n, *sample_shape]`; a channel dimension of 1 may be missing or too much.

    Raises:
        DataError: The shape is another one.
    """
    expected = spec.sample_shape
    found = array.shape[1:]
    if [size for size in found if size != 1] != [size for size in expected if size != 1]:
        request.refuse(
            f"samples for '{spec.name}' have the shape {list(found)}; the model takes {list(expected)}.",
            remedy="Resize or transpose the samples as the model was trained.",
        )
    return array.reshape(len(array), *expected)


def check_numeric(request: Request, spec: InputSpec, array: NDArray[np.generic]) -> None:
    """Check that the values are numbers that the input's type can hold.

    Raises:
        DataError: They are text, objects or complex, or fractions or too large for an integer input.
    """
    if array.dtype.kind not in "biuf":
        request.refuse(f"'{spec.name}' holds {array.dtype} values; numbers are expected.")
    dtype = np.dtype(spec.dtype)
    if dtype.kind not in "iu":
        return
    limits = np.iinfo(dtype)
    values = array.astype(np.float64)  # exact for every integer type that models take as input
    bad = (values < limits.min) | (values > limits.max) | (values != np.floor(values))
    if bad.any():
        at = _first(bad)
        request.refuse(f"{spec.name}[{at[0]}] holds {array[at]}, which a {dtype} input cannot take.")


def check_finite(request: Request, raw: RawData, spec: InputSpec, array: NDArray[np.generic]) -> None:
    """Check that no value is NaN or infinite.

    Raises:
        DataError: One is: the message names the first.
    """
    finite = np.isfinite(array)
    if finite.all():
        return
    at = _first(~finite)
    what = "NaN" if np.isnan(array[at]) else "an infinite value"
    sample = int(at[0])
    where = raw.origins[sample] if raw.origins else f"{_short(spec, len(request.inputs))}[{sample}]"
    request.refuse(
        f"{where} holds {what} ({int((~finite).any(axis=tuple(range(1, array.ndim))).sum())} of {len(array)}"
        " samples do)."
    )


def check_labels(request: Request, labels: NDArray[np.generic], classes: int | None) -> NDArray[np.generic]:
    """Return class labels as int64 `[n]`, or targets as float32; one-hot rows become class labels.

    Raises:
        DataError: A label is no number, not finite, or outside 0..classes-1.
    """
    if labels.dtype.kind not in "biuf":
        request.refuse(f"labels hold {labels.dtype} values; numbers are expected.")
    values = labels.astype(np.float64)
    if not np.isfinite(values).all():
        request.refuse(f"y[{_first(~np.isfinite(values))[0]}] is not finite.")
    if values.ndim == 2 and values.shape[1] > 1 and _one_hot(values):
        values = values.argmax(axis=1).astype(np.float64)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or (values != np.floor(values)).any():
        return values.astype(np.float32)  # targets of a regression
    if classes is not None:
        outside = (values < 0) | (values >= classes)
        if outside.any():
            at = _first(outside)
            request.refuse(f"y[{at[0]}] is {int(values[at])}; the classes are 0 to {classes - 1}.")
    return values.astype(np.int64)


def warn_samples(request: Request, raw: RawData) -> list[str]:
    """Return warnings about the number of samples and their values."""
    found = []
    count = len(raw.inputs[0])
    if request.role == "representative" and count < FEW_SAMPLES:
        found.append(f"{request.source}: only {count} representative samples; 100 to 500 give safer ranges.")
    for spec, array in zip(request.inputs, raw.inputs, strict=True):
        name = _short(spec, len(request.inputs))
        if array.min() == array.max():
            found.append(f"{request.source}: every value of {name} is {array.flat[0]}.")
        unscaled = request.preprocessing.scale is None and raw.default_scale == 1.0
        if array.dtype == np.uint8 and unscaled and np.dtype(spec.dtype).kind == "f" and array.max() > 1:
            found.append(
                f"{request.source}: {name} is uint8 0..{array.max()} and is not scaled; set"
                " scale = 0.00392156862745098 under [data] if the model was trained on 0..1."
            )
    return found


def warn_balance(
    request: Request, labels: NDArray[np.generic], class_names: tuple[str, ...], classes: int | None
) -> list[str]:
    """Return warnings about classes that are missing or far rarer than others."""
    if labels.dtype != np.int64 or labels.min() < 0 or labels.max() > 1_000_000:
        return []
    counts = np.bincount(labels.astype(np.int64), minlength=classes or 0)

    def name(index: int) -> str:
        return f"'{class_names[index]}'" if index < len(class_names) else str(index)

    found = []
    missing = [name(int(index)) for index in np.flatnonzero(counts == 0)]
    if missing:
        shown = ", ".join(missing[:5]) + (" and more" if len(missing) > 5 else "")
        found.append(f"{request.source}: no sample of {len(missing)} of {len(counts)} classes: {shown}.")
    present = np.flatnonzero(counts)
    least, most = present[counts[present].argmin()], present[counts[present].argmax()]
    if counts[most] > UNBALANCED_RATIO * counts[least]:
        found.append(
            f"{request.source}: classes are out of balance: {name(int(most))} has {counts[most]} samples,"
            f" {name(int(least))} has {counts[least]}."
        )
    return found


def _one_hot(values: NDArray[np.float64]) -> bool:
    return bool(((values == 0) | (values == 1)).all() and (values.sum(axis=1) == 1).all())


def _first(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(mask.argmax()), mask.shape))


def _short(spec: InputSpec, inputs: int) -> str:
    """Name an input in messages: `x` where the model has one, its own name else."""
    return "x" if inputs == 1 else spec.name
