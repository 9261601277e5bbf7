"""`verify`: the float model against the deployed one, by output, by tensor and on the task.

Rules:
    * Tensors are matched by name, outputs by position: the quantizer renames an output that it dequantizes.
    * Tensors are compared on the first samples only (every one is read out after every run); outputs and the
      task's metric use all samples.
    * Both models run on LiteRT's default kernels, as on a Linux device.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.converters.quantize.execute import batches, run_dataset, to_real
from edgepack.converters.quantize.metrics import Metric, Score, default_metric, top1_of
from edgepack.converters.quantize.tensor_error import ErrorSums, TensorError
from edgepack.converters.runtime import LiteRtModel, TensorDetails
from edgepack.converters.tflite.reader import read_graph

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from edgepack.converters.artifacts import FloatModel, QuantizedModel
    from edgepack.converters.data.dataset import Dataset
    from edgepack.converters.graph import Graph, Tensor

TENSOR_SAMPLES = 32


@dataclass(frozen=True)
class Verification:
    """What quantization cost.

    Attributes:
        precision: The deployed model's precision.
        samples: Samples that outputs and metric were measured on.
        tensor_samples: Samples that tensors were compared on.
        data: Path of the data set.
        outputs: Error of each output, in the model's order.
        tensors: Error of each tensor that both models have, in execution order.
        top1_agreement: Share of samples with the same largest score; None where no output is a row of scores.
        metric_float: The metric on the float model.
        metric_deployed: The metric on the deployed model.
        drop: By how much the deployed model is worse, in the metric's own unit; negative where it is better.
    """

    precision: str
    samples: int
    tensor_samples: int
    data: str
    outputs: tuple[TensorError, ...]
    tensors: tuple[TensorError, ...]
    top1_agreement: float | None
    metric_float: Score
    metric_deployed: Score
    drop: float

    def worst_tensors(self, count: int = 5) -> tuple[TensorError, ...]:
        """Return the tensors whose operators add the most noise, worst first."""
        return tuple(sorted(self.tensors, key=lambda t: -(t.added_noise or 0.0))[:count])

    def to_dict(self) -> dict[str, Any]:
        """Return this verification as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Pair:
    """A tensor of the float model and its counterpart in the deployed one."""

    name: str
    operator: str
    inputs: tuple[str, ...]
    float_index: int
    deployed_index: int
    details: TensorDetails


def verify(
    float_model: FloatModel,
    quantized_model: QuantizedModel,
    dataset: Dataset,
    metric: Metric | None = None,
    *,
    tensor_samples: int = TENSOR_SAMPLES,
) -> Verification:
    """Measure how the deployed model differs from the float model.

    Args:
        float_model: The reference.
        quantized_model: The model that is deployed.
        dataset: Evaluation data, or representative data where there is no other.
        metric: What counts on the task; None for what fits the data (see `default_metric`).
        tensor_samples: How many samples tensors are compared on; 0 compares none.

    Raises:
        DataError: The data does not fit the model or the metric.
        ConversionError: A model cannot be run.
    """
    reference = run_dataset(LiteRtModel.open(float_model.path), dataset)
    deployed = run_dataset(LiteRtModel.open(quantized_model.path), dataset)
    metric = metric or default_metric(dataset, reference)
    before, after = (metric.score(outputs, dataset, reference) for outputs in (reference, deployed))
    tensors = compare_tensors(float_model.path, quantized_model.path, dataset.head(tensor_samples))
    scores = [(r, d) for r, d in zip(reference, deployed, strict=True) if r.ndim == 2 and r.shape[1] > 1]
    return Verification(
        precision=str(quantized_model.precision),
        samples=len(dataset),
        tensor_samples=min(tensor_samples, len(dataset)),
        data=str(dataset.path),
        outputs=_output_errors(quantized_model.path, reference, deployed),
        tensors=tensors,
        top1_agreement=float((top1_of(scores[0][0]) == top1_of(scores[0][1])).mean()) if scores else None,
        metric_float=before,
        metric_deployed=after,
        drop=metric.drop(before.value, after.value),
    )


def evaluate(model: Path, dataset: Dataset, metric: Metric | None = None) -> Score:
    """Return the metric of one model alone, for a file that came quantized and has no float model.

    Raises:
        DataError: The data does not fit the model or the metric.
        ConversionError: The model cannot be run.
    """
    outputs = run_dataset(LiteRtModel.open(model), dataset)
    return (metric or default_metric(dataset, outputs)).score(outputs, dataset, outputs)


def compare_tensors(float_path: Path, deployed_path: Path, dataset: Dataset) -> tuple[TensorError, ...]:
    """Return the error of every tensor that both models have, in execution order."""
    if not len(dataset):
        return ()
    pairs = _pair_tensors(read_graph(float_path), read_graph(deployed_path))
    reference = LiteRtModel.open(float_path, preserve_all_tensors=True)
    deployed = LiteRtModel.open(deployed_path, preserve_all_tensors=True)
    sums = {pair.name: ErrorSums() for pair in pairs}
    for expected, found in zip(batches(reference, dataset), batches(deployed, dataset), strict=True):
        reference.run(expected)
        deployed.run(found)
        for pair in pairs:
            real = to_real(deployed.tensor(pair.deployed_index), pair.details)
            sums[pair.name].add(reference.tensor(pair.float_index), real)
    noise = {name: total.noise_to_signal or 0.0 for name, total in sums.items()}
    return tuple(
        sums[pair.name].result(
            name=pair.name,
            operator=pair.operator,
            dtype=pair.details.dtype.name,
            scale=pair.details.scale,
            input_noise=max((noise.get(name, 0.0) for name in pair.inputs), default=0.0),
        )
        for pair in pairs
    )


def _output_errors(
    path: Path, reference: tuple[NDArray[np.float32], ...], deployed: tuple[NDArray[np.float32], ...]
) -> tuple[TensorError, ...]:
    errors = []
    details = LiteRtModel.open(path).outputs
    for output, expected, found in zip(details, reference, deployed, strict=True):
        sums = ErrorSums()
        sums.add(expected, found)
        errors.append(
            sums.result(
                name=output.name,
                operator="OUTPUT",
                dtype=output.dtype.name,
                scale=output.scale,
                input_noise=0.0,
            )
        )
    return tuple(errors)


def _pair_tensors(float_graph: Graph, deployed_graph: Graph) -> tuple[_Pair, ...]:
    """Return the activations that both graphs have under one name, inputs first, in execution order."""
    deployed = {tensor.name: tensor for tensor in deployed_graph.tensors if _comparable(tensor)}
    pairs = []
    seen = set()
    steps: list[tuple[int, str, tuple[int, ...]]] = [(i, "INPUT", ()) for i in float_graph.main.inputs]
    steps += [(i, op.label, op.inputs) for op in float_graph.operators for i in op.outputs]
    for index, operator, inputs in steps:
        tensor = float_graph.tensors[index]
        match = deployed.get(tensor.name)
        if tensor.dtype != "float32" or match is None or tensor.name in seen or match.shape != tensor.shape:
            continue
        seen.add(tensor.name)
        names = tuple(float_graph.tensors[i].name for i in inputs if i >= 0)
        pairs.append(_Pair(tensor.name, operator, names, index, match.index, _details(match)))
    return tuple(pairs)


def _comparable(tensor: Tensor) -> bool:
    """Return whether a tensor is an activation of real values."""
    if tensor.is_constant or not tensor.name or not math.prod(tensor.shape):
        return False
    quantized = tensor.quantization is not None and tensor.quantization.scale.size == 1
    return tensor.dtype == "float32" or (quantized and tensor.dtype in ("int8", "uint8", "int16"))


def _details(tensor: Tensor) -> TensorDetails:
    params = tensor.quantization if tensor.dtype != "float32" else None
    return TensorDetails(
        name=tensor.name,
        index=tensor.index,
        shape=tensor.shape,
        dtype=np.dtype(tensor.dtype),
        scale=float(params.scale[0]) if params else None,
        zero_point=int(params.zero_point[0]) if params else None,
    )
