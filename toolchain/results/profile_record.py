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
Real = Annotated[float, Field(ge=-1e18, le=1e18)]


class OperatorTime(Checked):
    """The time of one piece of the model: an operator, or a kernel that a delegate made of operators.

    Attributes:
        index: The operator's place in the first subgraph's list; None for a kernel of a delegate, which does
            not say what it was made of (`analyze/kernels.py` works it out).
        partition: Which part of the model that the delegate has taken, in the order they run; None for an
            operator.
        name: The operator's kind, such as "CONV_2D"; or the kernel's name.
        time_ns: Time of one execution; negative where a difference is, within its error.
        error_ns: How far off that may be, with 95 % confidence.
        samples: Number of executions behind it.
    """

    index: Count | None = None
    partition: Count | None = None
    name: Text
    time_ns: Real
    error_ns: NotNegative
    samples: Annotated[int, Field(ge=1)]


class Profile(Checked):
    """A profile of the model on the device, at the batch that it was built with.

    Attributes:
        method: "runtime": the runtime timed its operators; "truncated": derived from the latency of models
            cut off after each operator.
        threads: Threads that the runtime was given.
        total_ns: Sum of the operators.
        plain_ns: Median latency of the whole model without profiling, taken in between. The difference to
            `total_ns` is what calling the runtime costs, and what profiling costs.
        operators: What takes time of its own, in the order it runs.
        note: What more a reader must know; None where nothing.
    """

    method: Literal["runtime", "truncated"]
    threads: Positive
    total_ns: Real
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
        note: Why it may be too low; None where nothing speaks for that.
    """

    measured_unix_ns: Count
    peaks: Annotated[list[PeakRate], Field(min_length=1, max_length=64)]
    bandwidths: Annotated[list[Bandwidth], Field(min_length=1, max_length=256)]
    note: Reason | None = None
