"""Raw job record in, run record out: the host does the statistics.

Every figure of a run is computed here and only here, from the samples that the record keeps.
"""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgepack.toolchain.errors import AgentError
from edgepack.toolchain.measure.quality import DeviceQuality
from edgepack.toolchain.results.answers import Answers, answers_of
from edgepack.toolchain.results.figures import missing, single
from edgepack.toolchain.results.job_record import JobRecord, MemoryUse
from edgepack.toolchain.results.judged import judge_samples
from edgepack.toolchain.results.schema import DeviceInfo, Metric, ModelInfo, PackageInfo, RunRecord
from edgepack.toolchain.results.window_record import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from edgepack.converters.quantize.metrics import Score
    from edgepack.toolchain.packaging.manifest import Manifest, TensorSpec
    from edgepack.toolchain.results.figures import AnyMetric

    QualityFunction = Callable[[tuple[NDArray[np.float32], ...]], Score]

RATIO_METRICS = ("agreement", "auc", "fidelity", "top1")
"""Quality metrics that are a share of one, shown as a percentage."""


@dataclass(frozen=True)
class RunContext:
    """What the host knows about a run, beside the job's own record.

    Attributes:
        device_name: The device's name in the inventory.
        device_kind: Its kind there, such as "ssh".
        emulated: Whether the device is emulated.
        time: Now, with a time zone.
        tool_version: Version of edgepack.
        package_sha256: SHA-256 of the `.epk` file, where it is at hand.
        tag: A name for the run.
        labels: Free pairs of the user.
    """

    device_name: str
    device_kind: str
    emulated: bool
    time: datetime
    tool_version: str
    package_sha256: str | None = None
    tag: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


def record_from_job(
    job: JobRecord, manifest: Manifest, context: RunContext, *, quality: QualityFunction | None = None
) -> RunRecord:
    """Make the run record of a job.

    Args:
        job: The checked raw record.
        manifest: The manifest of the package that the job ran.
        context: What the host knows about the run.
        quality: The evaluation metric: takes the outputs over the whole evaluation set, dequantized (one
            array an output: float32 [count, ...]), and returns its score. None: no evaluation.

    Raises:
        AgentError: The record is about another package, or its outputs are not those of the model.
    """
    if job.package_id != manifest.package_id:
        message = f"The job ran package {job.package_id[:12]}, expected {manifest.package_id[:12]}."
        raise AgentError(message, remedy="Deploy the package again, then repeat the benchmark.")
    model = next(entry for entry in manifest.files if entry.path == manifest.model)
    cpu = job.facts_before.cpu
    judged = judge_samples(job.configurations, job.power_sensor, cpu.count if cpu else None)
    metrics = [*judged.metrics, single("model_size", model.size_bytes, "bytes"), *_memory_metrics(job)]
    metrics += _quality_metrics(job, manifest, quality)
    identity = f"{context.device_name}\0{job.boot_id}\0{job.package_id}"
    return RunRecord(
        run_id=f"{job.job_id}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}",
        time=context.time,
        tool_version=context.tool_version,
        agent=job.agent,
        tag=context.tag or job.tag,
        labels={**job.labels, **context.labels},
        target=manifest.target,
        device=DeviceInfo(
            name=context.device_name,
            kind=context.device_kind,
            facts_before=job.facts_before,
            facts_after=job.facts_after,
        ),
        package=PackageInfo(name=manifest.name, package_id=job.package_id, sha256=context.package_sha256),
        model=ModelInfo(sha256=model.sha256, precision=manifest.precision, size_bytes=model.size_bytes),
        runtime=job.runtime,
        spec=job.spec,
        metrics=metrics,
        configurations=job.configurations,
        device_started_unix_ns=job.started_unix_ns,
        device_finished_unix_ns=job.finished_unix_ns,
        environment={"python": platform.python_version(), "system": platform.platform()},
        emulated=context.emulated,
        verdict=judged.verdict,
        verdicts=judged.verdicts,
        power_sensor=job.power_sensor,
        profile=job.profile,
        roofline=job.roofline,
        control=job.control,
        answers=_answers(job, manifest, quality),
        stolen_from=job.stolen_from,
        steal_reason=job.steal_reason,
    )


def _memory_metrics(job: JobRecord) -> list[AnyMetric]:
    names = ("peak_memory", "baseline_memory", "model_memory")
    if not isinstance(job.memory, MemoryUse):
        return [missing(name, "bytes", job.memory.unavailable) for name in names]
    peak, baseline = job.memory.peak_rss_bytes, job.memory.baseline_rss_bytes
    metrics: list[AnyMetric] = [
        single("peak_memory", peak, "bytes", aggregation="max"),
        single("baseline_memory", baseline, "bytes", aggregation="max"),
    ]
    if peak < baseline:  # two processes: page cache and allocator can turn a tiny model's share round
        reason = "the model's share is smaller than the noise between two processes"
        return [*metrics, missing("model_memory", "bytes", reason)]
    return [*metrics, single("model_memory", peak - baseline, "bytes", aggregation="max")]


def _quality_metrics(job: JobRecord, manifest: Manifest, quality: QualityFunction | None) -> list[AnyMetric]:
    metrics: list[AnyMetric] = []
    built = manifest.quality
    for name, value in (
        ("quality_float", built.float_value if built else None),
        ("quality_host", built.deployed_value if built else None),
    ):
        if built is None or built.metric is None or value is None:
            metrics.append(missing(name, "1", "the model was built without an evaluation set"))
        else:
            metrics.append(_quality(name, value, built.metric, built.count))
    metrics.append(_device_quality(job, manifest, quality))
    return metrics


def _device_quality(job: JobRecord, manifest: Manifest, quality: QualityFunction | None) -> AnyMetric:
    name = "quality_device"
    if isinstance(job.evaluation, Unavailable):
        return missing(name, "1", job.evaluation.unavailable)
    if manifest.evaluation is None or quality is None:
        return missing(name, "1", "the package holds no evaluation set")
    outputs = job.evaluation.outputs
    found = [(output.dtype, output.shape[1:]) for output in outputs]
    expected = [(spec.dtype, spec.shape[1:]) for spec in manifest.outputs]
    if found != expected or job.evaluation.count != manifest.evaluation.count:
        message = f"The device's outputs are {found} of {job.evaluation.count} samples, expected {expected}."
        raise AgentError(message, remedy="Deploy the package again, then repeat the benchmark.")
    values = (_real_values(o.array(), spec) for o, spec in zip(outputs, manifest.outputs, strict=True))
    score = quality(tuple(values))
    return _quality(name, score.value, score.metric, score.samples, low=score.low, high=score.high)


def _answers(job: JobRecord, manifest: Manifest, quality: QualityFunction | None) -> Answers | None:
    """Return which samples were right, for a paired test against another run."""
    if not isinstance(quality, DeviceQuality) or quality.hits is None or quality.labels_sha256 is None:
        return None
    if isinstance(job.evaluation, Unavailable) or manifest.evaluation is None:
        return None
    values = tuple(
        _real_values(o.array(), s) for o, s in zip(job.evaluation.outputs, manifest.outputs, strict=True)
    )
    return answers_of(quality.hits(values), quality.labels_sha256)


def _real_values(array: NDArray[Any], spec: TensorSpec) -> NDArray[np.float32]:
    """Dequantize an output: real = scale * (quantized - zero_point)."""
    if spec.scale is None:
        return array.astype("float32")
    return ((array.astype("float64") - (spec.zero_point or 0)) * spec.scale).astype("float32")


def _quality(
    name: str, value: float, metric: str, count: int, *, low: float | None = None, high: float | None = None
) -> Metric:
    unit = "ratio" if metric in RATIO_METRICS else "1"
    return Metric(name=name, value=value, unit=unit, aggregation=metric, samples=count, low=low, high=high)
