"""Records of a device that throttled and had a power sensor, for the tests of reports."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from edgepack.toolchain.results.schema import ConfigurationVerdict, Metric, Reasoned, RunRecord, Verdict
from tests.toolchain.records import make_configuration, make_power, make_record

if TYPE_CHECKING:
    from edgepack.toolchain.results.job_record import Configuration

SENSOR = {"name": "hwmon:ina226", "driver": "hwmon", "covers": "the whole supply of the board"}
REJECTED = "throttled: soft temperature limit at 82.0 °C"
WHY = "the last window is 6.2 % slower than the first"
PROFILE = {
    "method": "truncated",
    "threads": 4,
    "total_ns": 534_000,
    "plain_ns": 530_000,
    "operators": [
        {"index": i, "name": name, "time_ns": time_ns, "error_ns": time_ns * 0.03, "samples": 50}
        for i, (name, time_ns) in enumerate(
            [("CONV_2D", 180_000), ("DEPTHWISE_CONV_2D", 120_000), ("FULLY_CONNECTED", 30_000)]
            + [(f"OP_{i}", 1000 + i) for i in range(9)]
        )
    ],
}
ROOFLINE = {
    "measured_unix_ns": 1,
    "peaks": [
        {"dtype": dtype, "threads": threads, "macs_per_s": rate * threads, "workload": "FULLY_CONNECTED 1024"}
        for dtype, rate in (("int8", 24e9), ("float32", 6e9))
        for threads in (1, 4)
    ],
    "bandwidths": [
        {"working_set_bytes": size_bytes, "threads": threads, "bytes_per_s": rate * threads**0.5}
        for threads in (1, 4)
        for size_bytes, rate in ((16 << 10, 18e9), (512 << 10, 11e9), (64 << 20, 3.4e9))
    ],
}


def throttled_configuration(batch: int, threads: int, watts: float = 5.0) -> dict[str, Any]:
    """Five windows that count, and between the second and the third one in which the device throttled."""
    made = make_configuration(batch, threads, watts=watts)
    windows = made["windows"]
    bad = copy.deepcopy(windows[2])
    bad["rejected"] = REJECTED
    bad["samples_ns"] = [int(sample * 1.5) for sample in bad["samples_ns"]]
    bad["window_ns"] = sum(bad["samples_ns"]) + 1000
    end = bad["start_clock_ns"] + bad["window_ns"]
    for state in bad["states"]:
        state["clocks_hz"] = state["max_clocks_hz"] = [1_000_000_000] * 4
        state["temperatures_c"][0]["value"] = 82.0
        state["throttling"] = {
            "bits": 0x80008, "now": ["soft temperature limit"], "since_boot": ["soft temperature limit"],
        }  # fmt: skip
    bad["states"][1]["clock_ns"] = end
    bad["power"] = make_power(
        watts * bad["window_ns"] / 1e9, bad["window_ns"], start_ns=bad["start_clock_ns"]
    )
    later = 4 * bad["window_ns"]
    for window in windows[2:]:
        _shift(window, later)
    windows[2]["attempt"] = 2
    windows.insert(2, bad)
    return made


def _shift(window: dict[str, Any], by_ns: int) -> None:
    window["start_clock_ns"] += by_ns
    for state in window["states"]:
        state["clock_ns"] += by_ns
    trace = window["power"]["trace"]
    trace["clock_ns"] = [clock + by_ns for clock in trace["clock_ns"]]


def make_full_record(precision: str = "int8", device: str = "pi4", **changes: Any) -> RunRecord:
    """A run with power, a throttled window, a profile, a roof, and what was set on the device."""
    configurations = [throttled_configuration(1, 4), make_configuration(1, 1, watts=4.0)]
    configurations += [make_configuration(batch, 4, watts=5.2) for batch in (2, 4)]
    return make_record(
        precision,
        device,
        **{
            "configurations": configurations,
            "power_sensor": SENSOR,
            "profile": PROFILE,
            "roofline": ROOFLINE,
            "control": {"pinned": [2, 3], "governor": "performance", "refused": None},
            **changes,
        },
    )


def judged(record: RunRecord, place: Configuration, *, why: str | None = WHY) -> RunRecord:
    """The same run with a verdict on one configuration, and an interval of its p50; stable without `why`."""
    reasons = [Reasoned(code="drifting", message=why)] if why else []
    status = "unstable" if why else "stable"
    verdict = ConfigurationVerdict(
        configuration=place, status=status, reasons=reasons, others_cpus=0.031, median_window=0
    )
    others = [found for found in record.verdicts if found.configuration != place]
    metrics = [
        metric.model_copy(update={"low": metric.value * 0.99, "high": metric.value * 1.02})
        if isinstance(metric, Metric) and metric.configuration == place and metric.aggregation == "p50"
        else metric
        for metric in record.metrics
    ]
    summary = Verdict(status=status, reasons=[why] if why else [])
    return record.model_copy(update={"verdicts": [*others, verdict], "verdict": summary, "metrics": metrics})
