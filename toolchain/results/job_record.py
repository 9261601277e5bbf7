"""The raw record of a benchmark job, as the agent wrote it (`device_agent/PROTOCOL.md`, "The job's record").

Rules:
    * It comes from a device: hostile until checked. Counts, sizes and ranges are bounded here, once.
    * Unknown fields are ignored, as everywhere in the protocol; a fact that cannot be had is None.
    * A figure that was not taken is an `Unavailable` with a reason.
"""

from __future__ import annotations

import base64
import binascii
import json
from math import prod
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

from pydantic import Field, StringConstraints, ValidationError, model_validator

from edgepack.toolchain.deploy.facts import Checked, Count, DeviceFacts, Positive, Reason, Text
from edgepack.toolchain.errors import AgentError
from edgepack.toolchain.results.profile_record import Profile, Roofline
from edgepack.toolchain.results.upgrade import upgraded_job
from edgepack.toolchain.results.window_record import MAX_WINDOWS, IdlePower, Unavailable, Window

if TYPE_CHECKING:
    import numpy as np

MAX_RECORD_BYTES = 256 << 20
MAX_CONFIGURATIONS = 256
_ITEM_BYTES = {
    "float32": 4, "float16": 2, "int8": 1, "uint8": 1, "int16": 2, "int32": 4, "int64": 8, "bool": 1,
}  # fmt: skip

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
JobId = Annotated[str, StringConstraints(pattern=r"^[0-9]{8}T[0-9]{6}-[0-9a-f]{8}$")]
Delegate = Literal["xnnpack", "none"]
PackageName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class RuntimeInfo(Checked):
    """The runtime that executed the model."""

    kind: Text
    version: Text
    numpy: Text | None = None
    python: Text | None = None
    source: Literal["provisioned", "system"]


class BenchSpec(Checked):
    """What the benchmark was asked to do.

    Attributes:
        batches: Batch sizes.
        threads: Thread counts.
        delegates: "xnnpack", the runtime's default, or "none": its built-in kernels.
        quick: The windows are shorter than the rules ask for; figures are good for a look, not for quoting.
        warmup_min_runs: Least inferences before the first window.
        warmup_min_seconds: Least seconds of inferences before the first window.
        warmup_max_seconds: When warming up ends, settled or not.
        windows: Number of windows a configuration.
        min_runs: Least inferences a window.
        min_seconds: Least seconds a window.
        max_seconds: When a window ends even so.
        memory: Whether peak memory is measured, in a pass of its own.
        evaluation: Whether the packed evaluation set is run.
        profile: Whether operators are timed one by one, in a pass of its own.
        pin: CPUs that the model may use; None for all.
        governor: Frequency governor to set for the length of the benchmark; None to leave it.
        cool_to_c: Temperature to cool down to after a throttled window; None for that of the start plus 2 °C.
        cool_timeout_seconds: How long to wait for it.
        power: "auto", "none", the name of a sensor, or "host": a meter that another machine read.
    """

    batches: Annotated[list[Positive], Field(min_length=1, max_length=MAX_CONFIGURATIONS)]
    threads: Annotated[list[Positive], Field(min_length=1, max_length=MAX_CONFIGURATIONS)]
    delegates: Annotated[list[Delegate], Field(min_length=1, max_length=4)] = Field(default=["xnnpack"])
    quick: bool = False
    warmup_min_runs: Count
    warmup_min_seconds: Annotated[float, Field(ge=0)]
    warmup_max_seconds: Annotated[float, Field(ge=0)] = 30.0
    windows: Positive = 1
    min_runs: Count
    min_seconds: Annotated[float, Field(ge=0)]
    max_seconds: Annotated[float, Field(ge=0)]
    memory: bool
    evaluation: bool
    profile: bool = False
    pin: Annotated[list[Count], Field(max_length=4096)] | None = None
    governor: Text | None = None
    cool_to_c: float | None = None
    cool_timeout_seconds: Annotated[float, Field(ge=0)] = 300.0
    power: Text = "auto"


class Configuration(Checked):
    """How inferences ran.

    Attributes:
        batch: Inferences that one invocation computes.
        threads: Threads that the runtime was given.
        delegate: What computes: "xnnpack", or "none" for the runtime's built-in kernels.
    """

    batch: Positive
    threads: Positive
    delegate: Delegate = "xnnpack"


class ConfigurationSamples(Configuration):
    """The raw samples of one configuration.

    Attributes:
        load_ns: Making the interpreter and allocating its tensors.
        first_inference_ns: The first invocation after that.
        warmup_runs: Invocations between the first one and the first window.
        warmup_ns: How long they took.
        settled: Whether the latency had settled when the warm-up ended.
        timer_overhead_ns: What the clock adds to a sample.
        windows: All windows in the order they were taken, rejected ones too; at least one counts.
        idle: Power while nothing ran; None where power was not measured.
    """

    load_ns: Count
    first_inference_ns: Count
    warmup_runs: Count
    warmup_ns: Count | None = None
    settled: bool = True
    timer_overhead_ns: Count | None = None
    windows: Annotated[list[Window], Field(min_length=1, max_length=MAX_WINDOWS)]
    idle: IdlePower | None = None

    @model_validator(mode="after")
    def _check_windows(self) -> ConfigurationSamples:
        if not self.accepted:
            message = "every window was rejected"
            raise ValueError(message)
        return self

    @property
    def accepted(self) -> list[Window]:
        """The windows that count."""
        return [window for window in self.windows if window.rejected is None]


class ConfigurationUnavailable(Configuration):
    """A configuration that could not run, with the reason; rejected windows tell of temperatures."""

    unavailable: Reason
    windows: Annotated[list[Window], Field(max_length=MAX_WINDOWS)] = Field(default_factory=list)


class PowerSensorInfo(Checked):
    """The power sensor that was read.

    Attributes:
        name: Such as "hwmon:ina226".
        driver: What it was read through.
        covers: What its rail covers, and what it does not see.
        at: What it is cabled to: "device", "host" (the machine that edgepack ran on), or a gateway's name.
    """

    name: Text
    driver: Text
    covers: Text
    at: Text = "device"


class Control(Checked):
    """What was set on the device for the length of the benchmark, and put back afterwards.

    Attributes:
        pinned: CPUs that the model's process was bound to; None for all.
        governor: Governor that was set; None where it was left alone.
        refused: Why something that was asked for could not be set; None where nothing was refused.
    """

    pinned: list[Count] | None = None
    governor: Text | None = None
    refused: Reason | None = None


class MemoryUse(Checked):
    """Resident memory of a process of its own.

    Attributes:
        peak_rss_bytes: Largest resident set while loading and running the model.
        baseline_rss_bytes: The same of a process that only imports the runtime.
    """

    peak_rss_bytes: Count
    baseline_rss_bytes: Count


class OutputTensor(Checked):
    """An output of the model over the whole evaluation set; `shape` begins with the number of samples."""

    name: Text
    dtype: Literal["float32", "float16", "int8", "uint8", "int16", "int32", "int64", "bool"]
    shape: Annotated[list[Annotated[int, Field(ge=1, le=1 << 31)]], Field(min_length=1, max_length=9)]
    base64: Annotated[str, StringConstraints(max_length=MAX_RECORD_BYTES)]

    @model_validator(mode="after")
    def _check_length(self) -> OutputTensor:
        expected_bytes = prod(self.shape) * _ITEM_BYTES[self.dtype]
        if len(self.base64) != -(-expected_bytes // 3) * 4:
            message = f"shape {self.shape} of {self.dtype} needs {expected_bytes} bytes"
            raise ValueError(message)
        return self

    def array(self) -> np.ndarray[Any, Any]:
        """Return the values.

        Raises:
            AgentError: The text is not base64.
        """
        import numpy as np

        try:
            data = base64.b64decode(self.base64, validate=True)
            return np.frombuffer(data, np.dtype(self.dtype).newbyteorder("<")).reshape(self.shape)
        except (binascii.Error, ValueError) as err:
            _refuse(f"output '{self.name}' of the evaluation is not valid base64 of its shape", err)


class EvaluationOutputs(Checked):
    """The model's raw outputs on the evaluation set, computed on the device."""

    count: Annotated[int, Field(ge=1, le=1_000_000)]
    outputs: Annotated[list[OutputTensor], Field(min_length=1, max_length=64)]

    @model_validator(mode="after")
    def _check_count(self) -> EvaluationOutputs:
        if any(output.shape[0] != self.count for output in self.outputs):
            message = f"an output does not hold {self.count} samples"
            raise ValueError(message)
        return self


class JobRecord(Checked):
    """The whole record of a job."""

    record: Literal[2]
    job_id: JobId
    package_id: Sha256
    name: PackageName
    spec: BenchSpec
    agent: Text
    boot_id: Text | None = None
    started_unix_ns: Count
    finished_unix_ns: Count
    runtime: RuntimeInfo
    facts_before: DeviceFacts
    facts_after: DeviceFacts
    configurations: Annotated[
        list[ConfigurationSamples | ConfigurationUnavailable],
        Field(min_length=1, max_length=MAX_CONFIGURATIONS),
    ]
    power_sensor: PowerSensorInfo | Unavailable
    memory: MemoryUse | Unavailable
    evaluation: EvaluationOutputs | Unavailable
    profile: Profile | Unavailable
    roofline: Roofline | Unavailable
    tag: Text | None = None
    labels: dict[Text, Text] = Field(default_factory=dict, max_length=64)
    stolen_from: Text | None = None
    steal_reason: Text | None = None
    control: Control | None = None


def parse_job_record(data: bytes) -> JobRecord:
    """Check the bytes of a job's record and return it.

    Raises:
        AgentError: It is not a record as the protocol describes it.
    """
    if len(data) > MAX_RECORD_BYTES:
        _refuse(f"it has {len(data)} bytes; at most {MAX_RECORD_BYTES} are allowed")
    try:
        value = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as err:
        _refuse(f"it is not JSON ({err})", err)
    if not isinstance(value, dict) or value.get("record") not in (1, 2):
        found = value.get("record") if isinstance(value, dict) else type(value).__name__
        _refuse(f"it has version {found!r}; this edgepack reads versions 1 and 2")
    try:
        return JobRecord.model_validate(upgraded_job(value))
    except ValidationError as err:
        first = err.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "record"
        _refuse(f"{where}: {first['msg']}", err)


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is not a JSON number"
    raise ValueError(message)


def _refuse(what: str, cause: Exception | None = None) -> NoReturn:
    message = f"The job's record from the device is not valid: {what}."
    remedy = "Run `edgepack deploy` again to renew the agent on the device, then repeat the benchmark."
    raise AgentError(message, remedy=remedy) from cause
