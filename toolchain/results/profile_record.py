"""Operators timed one by one, and the roof that a device's hardware puts over them, as the agent wrote them.

Rules:
    * They come from a device: hostile until checked.
    * How operators were timed is named: an operator's time may be measured by the runtime itself, or derived
      from models cut off after it, with the error of that stated.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgepack.toolchain.deploy.facts import Checked, Count, Positive, Reason, Text

NotNegative = Annotated[float, Field(ge=0, le=1e18)]


class OperatorTime(Checked):
    """The time of one operator of the model's first subgraph.

    Attributes:
        index: Its place in the model's list of operators.
        name: Its kind, such as "CONV_2D".
        time_ns: Median time of one execution.
        error_ns: Half the width of the 95 % interval of `time_ns`.
        samples: Number of executions behind it.
    """

    index: Count
    name: Text
    time_ns: NotNegative
    error_ns: NotNegative
    samples: Annotated[int, Field(ge=1)]


class Profile(Checked):
    """A profile of the model on the device, for batch 1.

    Attributes:
        method: "runtime": the runtime timed its operators; "truncated": derived from the latency of models
            cut off after each operator.
        threads: Threads that the runtime was given.
        total_ns: Median latency of the whole model, by the same method.
        plain_ns: Median latency of the whole model without profiling; the difference is what profiling costs.
        operators: The operators that take time of their own.
        note: What more a reader must know; None where nothing.
    """

    method: Literal["runtime", "truncated"]
    threads: Positive
    total_ns: NotNegative
    plain_ns: NotNegative | None = None
    operators: Annotated[list[OperatorTime], Field(max_length=10_000)]
    note: Reason | None = None


class PeakRate(Checked):
    """The highest rate of multiply-accumulates that was reached.

    Attributes:
        dtype: "int8" or "float32".
        threads: Number of threads.
        macs_per_s: Multiply-accumulates per second.
        workload: What was run.
    """

    dtype: Literal["int8", "float32"]
    threads: Positive
    macs_per_s: Annotated[float, Field(gt=0, le=1e18)]
    workload: Text


class Bandwidth(Checked):
    """Memory bandwidth for one size of working set.

    Attributes:
        working_set_bytes: Bytes that are gone through again and again.
        threads: Number of threads.
        bytes_per_s: Bytes read per second.
    """

    working_set_bytes: Annotated[int, Field(ge=1)]
    threads: Positive
    bytes_per_s: Annotated[float, Field(gt=0, le=1e18)]


class Roofline(Checked):
    """The device's roof. Source: Williams, Waterman, Patterson, "Roofline", CACM 52 (2009), 65-76.

    Attributes:
        measured_unix_ns: When; it is measured once a device and runtime, and kept.
        peaks: Rates by dtype and threads.
        bandwidths: Bandwidth by working set and threads.
    """

    measured_unix_ns: Count
    peaks: Annotated[list[PeakRate], Field(min_length=1, max_length=64)]
    bandwidths: Annotated[list[Bandwidth], Field(min_length=1, max_length=256)]
