from __future__ import annotations

import pytest

from edgepack.targets.units import format_duration_ns, format_percent
from edgepack.toolchain.report.cells import NOT_IN_RECORD, format_range, metric_cell
from edgepack.toolchain.results.schema import Metric, UnavailableMetric


@pytest.mark.parametrize(
    ("low", "high", "form", "text"),
    [
        (533e3, 537e3, format_duration_ns, "533 to 537 µs"),
        (990e3, 1.2e6, format_duration_ns, "990 µs to 1.2 ms"),
        (0.92, 0.995, format_percent, "92.00 to 99.50 %"),
        (1.0, 2.0, str, "1.0 to 2.0"),
        (None, 2.0, str, None),
        (1.0, None, str, None),
    ],
)
def test_an_interval_says_its_unit_once(low, high, form, text):
    assert format_range(low, high, form) == text


def test_a_dash_has_its_reason():
    missing = UnavailableMetric(name="energy", unit="J", reason="no power sensor")
    assert metric_cell(missing, str).reason == "no power sensor"
    assert metric_cell(None, str).reason == NOT_IN_RECORD
    found = metric_cell(Metric(name="latency", value=0.0, unit="ns", aggregation="p50"), format_duration_ns)
    assert (found.text, found.reason) == ("0 ns", None)
