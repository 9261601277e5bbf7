"""The parts of a raw job record that a window is made of: samples, the device's state, power.

Rules:
    * They come from a device: hostile until checked. Counts, sizes and ranges are bounded here, once.
    * Every `clock_ns` is the device's CLOCK_MONOTONIC, so that windows, states and power can be laid over
      each other. It says nothing across a reboot.
    * A figure that was not taken is an `Unavailable` with a reason.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from edgepack.toolchain.deploy.facts import Checked, Count, Positive, Reason, Temperature, Text

MAX_SAMPLES = 1_000_000
MAX_WINDOWS = 256
MAX_STATES = 4096
MAX_TRACE = 10_000

Clocks = Annotated[list[Count | None], Field(max_length=4096)]
Real = Annotated[float, Field(ge=-1e12, le=1e12)]
NotNegative = Annotated[float, Field(ge=0, le=1e18)]


class Unavailable(Checked):
    """A figure that was not taken.

    Attributes:
        unavailable: The reason.
    """

    unavailable: Reason


class Throttling(Checked):
    """What the firmware of a Raspberry Pi says about its supply and temperature.

    Attributes:
        bits: The word of `vcgencmd get_throttled`.
        now: What holds at this moment: "under-voltage", "frequency capped", "throttled", "soft temperature
            limit".
        since_boot: The same, for what has happened since the machine was started.

    Source: Raspberry Pi documentation, "vcgencmd", get_throttled: bits 0 to 3 and 16 to 19.
    """

    bits: Count
    now: Annotated[list[Text], Field(max_length=32)]
    since_boot: Annotated[list[Text], Field(max_length=32)]


class Cooling(Checked):
    """A cooling device of the kernel that slows the processor down, and how far it has gone.

    Attributes:
        name: Its type, such as "cpufreq-cpu0".
        step: 0 where it does nothing.
    """

    name: Text
    step: Count


class State(Checked):
    """How the device was at one moment; None for what cannot be had.

    Attributes:
        clock_ns: When.
        governors: The frequency governor of each core.
        clocks_hz: The clock of each core now.
        max_clocks_hz: The highest clock that each core is allowed now; it falls when the kernel throttles.
        temperatures_c: Temperatures.
        throttling: What the firmware says; None where there is no such firmware.
        throttle_events: How often x86 cores and packages were throttled since boot; None elsewhere.
        cooling: The kernel's cooling devices of the processor.
        load_1min: Load average of the last minute.
        available_bytes: Memory that programs can still have.
    """

    clock_ns: Count
    governors: Annotated[list[Text | None], Field(max_length=4096)] | None = None
    clocks_hz: Clocks | None = None
    max_clocks_hz: Clocks | None = None
    temperatures_c: Annotated[list[Temperature], Field(max_length=256)] | None = None
    throttling: Throttling | None = None
    throttle_events: Count | None = None
    cooling: Annotated[list[Cooling], Field(max_length=256)] | None = None
    load_1min: NotNegative | None = None
    available_bytes: Count | None = None


class PowerTrace(Checked):
    """Power over time, thinned by averaging for plots. Energy is never computed from it."""

    clock_ns: Annotated[list[Count], Field(max_length=MAX_TRACE)]
    watts: Annotated[list[Real], Field(max_length=MAX_TRACE)]

    @model_validator(mode="after")
    def _check_lengths(self) -> PowerTrace:
        if len(self.clock_ns) != len(self.watts):
            message = f"{len(self.clock_ns)} times and {len(self.watts)} values"
            raise ValueError(message)
        return self


class PowerReading(Checked):
    """What a power sensor measured over one window.

    Attributes:
        sensor: Its name, such as "hwmon:ina226".
        driver: What it was read through, such as "hwmon".
        covers: What its rail covers, and what it does not see.
        joules: Energy over the window.
        uncertainty_j: Half the width of its 95 % interval, from resolution, rate and length of the window.
        average_w: Energy over duration.
        peak_w: Highest sample.
        duration_ns: Length of the window.
        samples: Number of samples.
        dropped: Number of samples that were due and did not come.
        coverage: Share of the window that the samples cover, 0 to 1.
        resolution_w: Smallest step of a sample; None where unknown.
        interval_ns: Median time between two samples.
        trace: For plots; None where none was kept.
        clock_uncertainty_ns: Of a meter that another machine reads: the most by which the window's edges are
            wrong on its clock; part of `uncertainty_j`. None where the device reads its own sensor.
    """

    sensor: Text
    driver: Text
    covers: Text
    joules: Real
    uncertainty_j: NotNegative
    average_w: Real
    peak_w: Real
    duration_ns: Count
    samples: Count
    dropped: Count
    coverage: Annotated[float, Field(ge=0, le=1)]
    resolution_w: NotNegative | None = None
    interval_ns: Count
    trace: PowerTrace | None = None
    clock_uncertainty_ns: Count | None = None


Power = PowerReading | Unavailable


class IdleSpan(Checked):
    """When nothing ran."""

    start_clock_ns: Count
    duration_ns: Annotated[int, Field(ge=1, le=(1 << 63) - 1)]


class IdlePower(Checked):
    """Power while the model was loaded and nothing ran, before the first window and after the last.

    Attributes:
        before: Power before.
        after: Power after.
        before_span: When that was; None on records of earlier versions.
        after_span: The same after.
    """

    before: Power
    after: Power
    before_span: IdleSpan | None = None
    after_span: IdleSpan | None = None


class Window(Checked):
    """One window of inferences of one configuration.

    Attributes:
        inputs: Which rotation of the golden inputs it ran on: each window has others.
        attempt: 1, or more where windows before it were rejected.
        rejected: Why it does not count, such as "throttled: …"; None where it counts.
        start_clock_ns: When it began.
        window_ns: From the first inference's start to the last one's end.
        runs: Number of invocations.
        sample_stride: Every how manieth invocation is among the samples: 1, or more for a very fast model.
        samples_ns: One duration an invocation, by a monotonic clock, in the order they were taken.
        cpu_ns: CPU time of the process over the window, all threads; None where it cannot be had.
        others_cpu_ns: CPU time that everything else on the device used meanwhile; None where unknown.
        preemptions: How often the kernel took a CPU away from the process (involuntary context switches).
        stopped_by: "min_runs" when both minima were reached, "max_seconds" or "max_samples".
        states: The device before, during and after the window.
        power: Energy over exactly this window.
    """

    inputs: Count
    attempt: Positive = 1
    rejected: Reason | None = None
    start_clock_ns: Count
    window_ns: Count
    runs: Annotated[int, Field(ge=1)]
    sample_stride: Annotated[int, Field(ge=1)] = 1
    samples_ns: Annotated[list[Count], Field(min_length=1, max_length=MAX_SAMPLES)]
    cpu_ns: Count | None = None
    others_cpu_ns: Count | None = None
    preemptions: Count | None = None
    stopped_by: Text = "min_runs"
    states: Annotated[list[State], Field(max_length=MAX_STATES)] = Field(default_factory=list)
    power: Power
