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

if TYPE_CHECKING:
    import numpy as np

MAX_RECORD_BYTES = 256 << 20
MAX_SAMPLES = 2_000_000
MAX_CONFIGURATIONS = 256
_ITEM_BYTES = {
    "float32": 4, "float16": 2, "int8": 1, "uint8": 1, "int16": 2, "int32": 4, "int64": 8, "bool": 1,
}  # fmt: skip

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
JobId = Annotated[str, StringConstraints(pattern=r"^[0-9]{8}T[0-9]{6}-[0-9a-f]{8}$")]
PackageName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class Unavailable(Checked):
    """A figure that was not taken.

    Attributes:
        unavailable: The reason.
    """

    unavailable: Reason


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
        warmup_min_runs: Least inferences before the first sample.
        warmup_min_seconds: Least seconds of inferences before the first sample.
        min_runs: Least samples a configuration.
        min_seconds: Least seconds of samples a configuration.
        max_seconds: When a configuration ends even so.
        memory: Whether peak memory is measured, in a pass of its own.
        evaluation: Whether the packed evaluation set is run.
    """

    batches: Annotated[list[Positive], Field(min_length=1, max_length=MAX_CONFIGURATIONS)]
    threads: Annotated[list[Positive], Field(min_length=1, max_length=MAX_CONFIGURATIONS)]
    warmup_min_runs: Count
    warmup_min_seconds: Annotated[float, Field(ge=0)]
    min_runs: Count
    min_seconds: Annotated[float, Field(ge=0)]
    max_seconds: Annotated[float, Field(ge=0)]
    memory: bool
    evaluation: bool


class Configuration(Checked):
    """How inferences ran.

    Attributes:
        batch: Inferences that one invocation computes.
        threads: Threads that the runtime was given.
    """

    batch: Positive
    threads: Positive


class ConfigurationSamples(Configuration):
    """The raw samples of one configuration, in the order they were taken.

    Attributes:
        load_ns: Making the interpreter and allocating its tensors.
        first_inference_ns: The first invocation after that.
        warmup_runs: Invocations between the first one and the first sample.
        samples_ns: One duration an invocation, by a monotonic clock.
        window_ns: From the first sample's start to the last one's end.
        cpu_ns: CPU time of the process over the window, all threads; None where it cannot be had.
    """

    load_ns: Count
    first_inference_ns: Count
    warmup_runs: Count
    samples_ns: Annotated[list[Count], Field(min_length=1, max_length=MAX_SAMPLES)]
    window_ns: Count
    cpu_ns: Count | None = None


class ConfigurationUnavailable(Configuration):
    """A configuration that could not run, with the reason."""

    unavailable: Reason


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

    record: Literal[1]
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
    memory: MemoryUse | Unavailable
    evaluation: EvaluationOutputs | Unavailable


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
    if not isinstance(value, dict) or value.get("record") != 1:
        found = value.get("record") if isinstance(value, dict) else type(value).__name__
        _refuse(f"it has version {found!r}; this edgepack reads version 1")
    try:
        return JobRecord.model_validate(value)
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
