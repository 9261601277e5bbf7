"""One record a run: what was measured, on what, with what. Versioned; published as JSON Schema.

Rules:
    * A metric was either measured (`value`) or is unavailable with a reason. There is no third way: a value
      that was not measured is never 0, and an estimate never stands here.
    * Raw samples stay in the record, so that old runs can be read again with better statistics.
    * Base units: nanoseconds, bytes, inferences per second. Reports convert.
    * A new optional field keeps `schema_version`; a changed meaning raises it. Readers ignore unknown fields.

The JSON Schema is `docs/schemas/run-record-v2.json`, written by `json_schema.py` and checked by a test.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints, ValidationError

from edgepack.toolchain.deploy.facts import Checked, DeviceFacts, Reason, Text
from edgepack.toolchain.errors import MeasurementError
from edgepack.toolchain.results.answers import Answers
from edgepack.toolchain.results.job_record import (
    MAX_CONFIGURATIONS,
    BenchSpec,
    Configuration,
    ConfigurationSamples,
    ConfigurationUnavailable,
    Control,
    PackageName,
    PowerSensorInfo,
    RuntimeInfo,
    Sha256,
)
from edgepack.toolchain.results.profile_record import Profile, Roofline
from edgepack.toolchain.results.upgrade import CURRENT, OLDEST, upgraded
from edgepack.toolchain.results.window_record import Unavailable

RunId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
_MAX_METRICS = 10_000


class Metric(Checked):
    """A figure that was measured.

    Attributes:
        name: Such as "latency", "throughput", "peak_memory", "quality_device".
        value: The figure, in `unit`.
        unit: "ns", "bytes", "inferences/s", "cores", "ratio", "J", "W", "J*s", "inferences/J", or "1" for a
            metric without a unit of its own.
        aggregation: How samples became one figure: "min", "mean", "p50", "p90", "p99", "max", "std",
            "single", or the name of the metric function, such as "top1".
        samples: Number of samples behind the figure; None where it is not made of samples.
        low: Lower end of the 95 % confidence interval; None where there is none.
        high: Upper end.
        configuration: The batch and threads that it belongs to; None where it belongs to the whole run.
    """

    name: Text
    value: float
    unit: Text
    aggregation: Text
    samples: Annotated[int, Field(ge=1)] | None = None
    low: float | None = None
    high: float | None = None
    configuration: Configuration | None = None


class UnavailableMetric(Checked):
    """A figure that was not measured, with the reason."""

    name: Text
    unit: Text
    availability: Literal["unavailable"] = "unavailable"
    reason: Reason
    aggregation: Text | None = None
    configuration: Configuration | None = None


class DeviceInfo(Checked):
    """The device.

    Attributes:
        name: Its name in the inventory.
        kind: How it is reached: "ssh", "local", …
        facts_before: What it was before the benchmark.
        facts_after: What it was after it; temperatures and clocks may have moved.
    """

    name: Text
    kind: Text
    facts_before: DeviceFacts
    facts_after: DeviceFacts


class PackageInfo(Checked):
    """The package. `sha256` is that of the `.epk` file; None where only the device's copy is known."""

    name: PackageName
    package_id: Sha256
    sha256: Sha256 | None


class ModelInfo(Checked):
    """The model in the package."""

    sha256: Sha256
    precision: Text
    size_bytes: Annotated[int, Field(ge=0)]


class Reasoned(Checked):
    """A cause of doubt.

    Attributes:
        code: "throttled", "drifting", "bimodal", "noisy-neighbour", "not-settled", "few-samples",
            "clock-changed", "wide-interval" or "outliers".
        message: The same in words, with the figures.
    """

    code: Text
    message: Text


class ConfigurationVerdict(Checked):
    """Whether the latency of one configuration can be trusted, with what was computed to say so.

    Attributes:
        configuration: The configuration.
        status: "stable" or "unstable".
        reasons: Why it is unstable; empty where it is stable.
        drift_p_value: Of the drift test over the windows; None with fewer than three windows.
        drift: Latency of the last window over that of the first, by the fitted line, minus 1.
        outlier_share: Share of samples beyond the outer fence of Tukey's box plot.
        others_cpus: CPUs that everything else used on average; None where unknown.
        median_window: Index of the reported window among those that count.
    """

    configuration: Configuration
    status: Literal["stable", "unstable"]
    reasons: Annotated[list[Reasoned], Field(max_length=16)]
    drift_p_value: Annotated[float, Field(ge=0, le=1)] | None = None
    drift: float | None = None
    outlier_share: Annotated[float, Field(ge=0, le=1)] | None = None
    others_cpus: Annotated[float, Field(ge=0)] | None = None
    median_window: Annotated[int, Field(ge=0)]


class Verdict(Checked):
    """Whether the figures of the headline configuration can be trusted.

    Attributes:
        status: "stable" or "unstable".
        reasons: Why, in words.
    """

    status: Literal["stable", "unstable"]
    reasons: list[Text]


class RunRecord(Checked):
    """A run: one benchmark of one package on one device.

    Attributes:
        run_id: The job's id and a hash of device and package; the same run has the same id everywhere.
        time: When the host recorded it. The device's own clock, often wrong without a network, is in
            `device_started_unix_ns`.
        tool_version: Version of edgepack on the host.
        agent: The agent's hash.
        tag: A name that the user gave, such as "baseline".
        labels: Free `key: value` pairs of the user.
        target: The target that the package was built for.
        spec: What the benchmark was asked to do.
        metrics: All figures, measured or not.
        configurations: Raw samples.
        environment: What the host was: tool names to versions.
        emulated: The device is emulated: its figures say nothing about real hardware.
        verdict: Whether the headline figures can be trusted; None where nobody judged.
        verdicts: The same for each configuration that ran.
        power_sensor: Which sensor measured power, or why none did.
        profile: Operators timed one by one.
        roofline: The device's roof.
        control: What was set on the device for the length of the benchmark.
        answers: Which samples of the evaluation set were right; None where the metric counts none.
        stolen_from: Whose lease was taken for this run, and `steal_reason` why; None where nobody's was.
    """

    schema_version: Literal[2] = 2
    run_id: RunId
    time: AwareDatetime
    tool_version: Text
    agent: Text
    tag: Text | None = None
    labels: dict[Text, Text] = Field(default_factory=dict, max_length=64)
    target: Text
    device: DeviceInfo
    package: PackageInfo
    model: ModelInfo
    runtime: RuntimeInfo
    spec: BenchSpec
    metrics: Annotated[list[Metric | UnavailableMetric], Field(max_length=_MAX_METRICS)]
    configurations: list[ConfigurationSamples | ConfigurationUnavailable]
    device_started_unix_ns: int
    device_finished_unix_ns: int
    environment: dict[Text, Text] = Field(default_factory=dict, max_length=64)
    emulated: bool
    verdict: Verdict | None = None
    verdicts: Annotated[list[ConfigurationVerdict], Field(max_length=MAX_CONFIGURATIONS)] = Field(
        default_factory=list
    )
    power_sensor: PowerSensorInfo | Unavailable | None = None
    profile: Profile | Unavailable | None = None
    roofline: Roofline | Unavailable | None = None
    control: Control | None = None
    answers: Answers | None = None
    stolen_from: Text | None = None
    steal_reason: Text | None = None

    def find(
        self, name: str, aggregation: str | None = None, configuration: Configuration | None = None
    ) -> Metric | UnavailableMetric | None:
        """Return the first metric of that name, aggregation and configuration; None where there is none."""
        for metric in self.metrics:
            same_place = configuration is None or _key(metric.configuration) == _key(configuration)
            if metric.name == name and same_place and (aggregation in (None, metric.aggregation)):
                return metric
        return None

    def value(
        self, name: str, aggregation: str | None = None, configuration: Configuration | None = None
    ) -> float | None:
        """Return the value of a measured metric, else None."""
        found = self.find(name, aggregation, configuration)
        return found.value if isinstance(found, Metric) else None

    def to_json(self) -> str:
        """Return the record as JSON, one line, sorted keys."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))


def parse_run_record(text: str | bytes, *, source: str) -> RunRecord:
    """Check a record from a file or store and return it.

    Raises:
        MeasurementError: It is not a record of a version that this edgepack reads.
    """
    remedy = "Name a file that `edgepack report --json` wrote, or upgrade edgepack."
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as err:
        message = f"{source} is not JSON: {err}."
        raise MeasurementError(message, remedy=remedy) from err
    version = value.get("schema_version") if isinstance(value, dict) else None
    if version not in range(OLDEST, CURRENT + 1):
        message = (
            f"{source} has schema_version {version!r}; this edgepack reads versions {OLDEST} to {CURRENT}."
        )
        raise MeasurementError(message, remedy=remedy)
    try:
        return RunRecord.model_validate(upgraded(value))
    except ValidationError as err:
        first = err.errors(include_url=False, include_input=False)[0]
        message = f"{source}: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}."
        raise MeasurementError(message, remedy=remedy) from err


def _key(configuration: Configuration | None) -> tuple[int, int, str] | None:
    return (configuration.batch, configuration.threads, configuration.delegate) if configuration else None
