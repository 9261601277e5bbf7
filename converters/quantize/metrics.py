"""Metrics of a task, each with a 95 % confidence interval.

A metric reads the outputs of a model over a data set (real values, whatever the model's precision).
`agreement` and `fidelity` need no labels: they compare with the float model's outputs, and stand in where
labels are missing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.converters.data.hook import is_hook, load_function
from edgepack.converters.errors import DataError
from edgepack.targets.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from edgepack.converters.data.dataset import Dataset

_Z = 1.959964  # 97.5 % quantile of the normal distribution: two-sided 95 %
_Z_ONE_SIDED = 1.644854  # 95 % quantile: one-sided 95 %
_RESAMPLES = 200
Outputs = tuple["NDArray[np.float32]", ...]


@dataclass(frozen=True)
class Score:
    """The value of a metric.

    Attributes:
        metric: Its name.
        value: The value.
        low: Lower end of the 95 % confidence interval; None where there is none.
        high: Upper end.
        samples: Number of samples.
    """

    metric: str
    value: float
    low: float | None
    high: float | None
    samples: int


@dataclass(frozen=True)
class Metric:
    """What is measured on the outputs.

    Attributes:
        name: "top1", "auc", "mse", "agreement", "fidelity" or `module:function`.
        higher_is_better: Whether a larger value is a better model.
        needs_labels: Whether the data set must hold labels.
        score: From the outputs, the data set and the float model's outputs to the score.
        hits: For a metric that is a share of right answers: which samples are right, bool [n]; else None.
    """

    name: str
    higher_is_better: bool
    needs_labels: bool
    score: Callable[[Outputs, Dataset, Outputs], Score]
    hits: Callable[[Outputs, Dataset, Outputs], NDArray[np.bool_]] | None = None

    def drop(self, reference: float, value: float) -> float:
        """Return by how much `value` is worse than `reference`; negative where it is better."""
        return reference - value if self.higher_is_better else value - reference

    def drop_high(self, outputs: Outputs, dataset: Dataset, reference: Outputs) -> float | None:
        """Return the upper end of the one-sided 95 % interval of the drop; None where the metric has none.

        Both models answer the same samples, so only those count on which one is right and the other wrong:
        drop = (lost - won) / n, variance = (lost + won - (lost - won)^2 / n) / n^2.

        Source: Fleiss, Levin and Paik (2003), "Statistical Methods for Rates and Proportions", 13.1.
        """
        if self.hits is None:
            return None
        before, after = (self.hits(each, dataset, reference) for each in (reference, outputs))
        lost, won = int((before & ~after).sum()), int((after & ~before).sum())
        samples = len(dataset)
        variance = (lost + won - (lost - won) ** 2 / samples) / samples**2
        return (lost - won) / samples + _Z_ONE_SIDED * math.sqrt(variance)


def find_metric(name: str, *, folder: Path) -> Metric:
    """Return the metric called `name`, or the user's own `module:function` from `folder`.

    The user's function takes `(outputs, labels)`: the first output `[n, ...]`, or a tuple where the model has
    several, and the labels `[n]`; it returns one number. A larger one is better, unless the function carries
    an attribute `higher_is_better = False`.

    Raises:
        DataError: There is no such metric.
    """
    if name in METRICS:
        return METRICS[name]
    if is_hook(name):
        function = load_function(name, folder)
        return _own(name, function)
    msg = f"There is no metric '{name}'.{nearest(name, METRICS)}"
    raise DataError(msg, remedy=f"Use one of {', '.join(METRICS)}, or module:function.")


def within(drop: float, max_drop: float) -> bool:
    """Return whether a drop is allowed: exactly the limit is, whatever binary fractions make of it."""
    return drop <= max_drop + 1e-9


def default_metric(dataset: Dataset, outputs: Outputs) -> Metric:
    """Return the metric that fits: top-1 or MSE where there are labels, else a comparison with float."""
    classifies = _classifies(dataset, outputs)
    if dataset.labels is None:
        return METRICS["agreement" if classifies else "fidelity"]
    if dataset.labels.dtype == np.int64:
        return METRICS["auc" if _reconstructs(dataset, outputs) else "top1"]
    return METRICS["mse"]


def wilson(successes: int, samples: int) -> tuple[float, float]:
    """Return the 95 % interval of a proportion.

    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference".
    """
    if not samples:
        return 0.0, 1.0
    share, z2 = successes / samples, _Z * _Z
    center = (share + z2 / (2 * samples)) / (1 + z2 / samples)
    half = _Z / (1 + z2 / samples) * math.sqrt(share * (1 - share) / samples + z2 / (4 * samples * samples))
    return max(0.0, center - half), min(1.0, center + half)


def top1_of(output: NDArray[Any]) -> NDArray[np.int64]:
    """Return the class of each sample: the largest of several scores, or one probability above 0.5."""
    flat = output.reshape(len(output), -1)
    if flat.shape[1] == 1:
        return (flat[:, 0] > 0.5).astype(np.int64)
    largest: NDArray[np.int64] = flat.argmax(axis=1)
    return largest


def reconstruction_mse(output: NDArray[Any], dataset: Dataset) -> NDArray[np.float64]:
    """Return the mean squared difference between output and input of each sample: an anomaly score.

    Source: Banbury et al. (2021), "MLPerf Tiny Benchmark", anomaly detection.
    """
    shape = (len(output), -1)
    difference = output.reshape(shape).astype(np.float64) - dataset.inputs[0].reshape(shape).astype(
        np.float64
    )
    errors: NDArray[np.float64] = (difference**2).mean(axis=1)
    return errors


def _right(outputs: Outputs, dataset: Dataset, _reference: Outputs) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = top1_of(outputs[0]) == _class_labels("top1", dataset)
    return right


def _agreeing(outputs: Outputs, _dataset: Dataset, reference: Outputs) -> NDArray[np.bool_]:
    agreeing: NDArray[np.bool_] = top1_of(outputs[0]) == top1_of(reference[0])
    return agreeing


def _top1(outputs: Outputs, dataset: Dataset, reference: Outputs) -> Score:
    hits = int(_right(outputs, dataset, reference).sum())
    return Score("top1", hits / len(dataset), *wilson(hits, len(dataset)), len(dataset))


def _agreement(outputs: Outputs, dataset: Dataset, reference: Outputs) -> Score:
    hits = int(_agreeing(outputs, dataset, reference).sum())
    return Score("agreement", hits / len(dataset), *wilson(hits, len(dataset)), len(dataset))


def _fidelity(outputs: Outputs, dataset: Dataset, reference: Outputs) -> Score:
    """Return 1 - noise/signal of the outputs: 0.99 is an SQNR of 20 dB."""
    noise = sum(
        float(((o - r).astype(np.float64) ** 2).sum()) for o, r in zip(outputs, reference, strict=True)
    )
    signal = sum(float((r.astype(np.float64) ** 2).sum()) for r in reference)
    value = 1 - noise / signal if signal else float(noise == 0)
    return Score("fidelity", value, None, None, len(dataset))


def _mse(outputs: Outputs, dataset: Dataset, _reference: Outputs) -> Score:
    """Return the mean squared error against the targets, or the inputs where there are none."""
    if dataset.labels is None or dataset.labels.dtype == np.int64:
        errors = reconstruction_mse(outputs[0], dataset)
    else:
        targets = dataset.labels.reshape(len(dataset), -1).astype(np.float64)
        errors = ((outputs[0].reshape(len(dataset), -1) - targets) ** 2).mean(axis=1)
    mean = float(errors.mean())
    half = _Z * float(errors.std(ddof=1)) / math.sqrt(len(errors)) if len(errors) > 1 else None
    if half is None:
        return Score("mse", mean, None, None, len(dataset))
    return Score("mse", mean, max(0.0, mean - half), mean + half, len(dataset))


def _auc(outputs: Outputs, dataset: Dataset, _reference: Outputs) -> Score:
    """Return the area under the ROC curve as the Mann-Whitney statistic, ties counted half.

    Source: Hanley and McNeil (1982), "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve"; the standard error is their equation 2.
    """
    labels = _class_labels("auc", dataset)
    found = np.unique(labels).tolist()
    if found != [0, 1]:
        msg = f"{dataset.path}: auc needs labels 0 (normal) and 1 (anomalous); found {found[:5]}."
        raise DataError(msg, remedy="Correct the labels, or set another metric under [quality].")
    scores = _scores(outputs[0], dataset)
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives = int(labels.sum())
    negatives = len(labels) - positives
    area = (float(ranks[labels == 1].sum()) - positives * (positives + 1) / 2) / (positives * negatives)
    q1, q2 = area / (2 - area), 2 * area * area / (1 + area)
    variance = area * (1 - area) + (positives - 1) * (q1 - area**2) + (negatives - 1) * (q2 - area**2)
    half = _Z * math.sqrt(max(0.0, variance) / (positives * negatives))
    return Score("auc", area, max(0.0, area - half), min(1.0, area + half), len(dataset))


def _own(name: str, function: Callable[..., Any]) -> Metric:
    """Return the user's function as a metric; its interval is a bootstrap with a fixed seed."""

    def once(outputs: Outputs, labels: NDArray[Any] | None) -> float:
        try:
            return float(function(outputs[0] if len(outputs) == 1 else outputs, labels))
        except Exception as err:
            msg = f"The metric '{name}' failed: {type(err).__name__}: {err}"
            raise DataError(msg, remedy="It takes (outputs, labels) and returns one number.") from err

    def score(outputs: Outputs, dataset: Dataset, _reference: Outputs) -> Score:
        value = once(outputs, dataset.labels)
        count = len(dataset)
        draw = np.random.default_rng(0)
        values = []
        for _ in range(_RESAMPLES):
            rows = draw.integers(0, count, count)
            labels = None if dataset.labels is None else dataset.labels[rows]
            values.append(once(tuple(output[rows] for output in outputs), labels))
        low, high = np.percentile(values, [2.5, 97.5])
        return Score(name, value, float(low), float(high), count)

    return Metric(name, bool(getattr(function, "higher_is_better", True)), needs_labels=False, score=score)


def _class_labels(metric: str, dataset: Dataset) -> NDArray[np.int64]:
    """Return the class labels.

    Raises:
        DataError: The data set has none.
    """
    if dataset.labels is None or dataset.labels.dtype != np.int64:
        found = "none" if dataset.labels is None else f"{dataset.labels.dtype} targets"
        msg = f"{dataset.path}: the metric {metric} needs class labels; found {found}."
        raise DataError(
            msg, remedy="Add labels to the evaluation data, or set another metric under [quality]."
        )
    return dataset.labels.astype(np.int64)


def _scores(output: NDArray[np.float32], dataset: Dataset) -> NDArray[Any]:
    """Return how anomalous each sample is: reconstruction error, or the score of class 1."""
    if _reconstructs(dataset, (output,)):
        return reconstruction_mse(output, dataset)
    flat = output.reshape(len(output), -1)
    if flat.shape[1] > 2:
        msg = f"auc needs an autoencoder or one or two scores a sample; the output has {flat.shape[1]}."
        raise DataError(msg, remedy='Set metric = "top1" or module:function under [quality].')
    return flat[:, -1]


def _reconstructs(dataset: Dataset, outputs: Outputs) -> bool:
    return len(dataset.inputs) == 1 and outputs[0].size == dataset.inputs[0].size


def _classifies(dataset: Dataset, outputs: Outputs) -> bool:
    return len(outputs) == 1 and outputs[0].ndim == 2 and not _reconstructs(dataset, outputs)


METRICS: dict[str, Metric] = {
    "agreement": Metric(
        "agreement", higher_is_better=True, needs_labels=False, score=_agreement, hits=_agreeing
    ),
    "auc": Metric("auc", higher_is_better=True, needs_labels=True, score=_auc),
    "fidelity": Metric("fidelity", higher_is_better=True, needs_labels=False, score=_fidelity),
    "mse": Metric("mse", higher_is_better=False, needs_labels=False, score=_mse),
    "top1": Metric("top1", higher_is_better=True, needs_labels=True, score=_top1, hits=_right),
}
