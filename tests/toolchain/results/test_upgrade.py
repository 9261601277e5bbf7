"""A record that an earlier edgepack wrote, as it lies in people's stores, is read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.toolchain.errors import MeasurementError
from edgepack.toolchain.results.job_record import Configuration
from edgepack.toolchain.results.schema import UnavailableMetric, parse_run_record
from edgepack.toolchain.results.window_record import Unavailable

OLD = Path(__file__).parent / "records" / "run-record-v1.json"
VALUE = json.loads(OLD.read_text())


def test_samples_become_one_window_and_every_figure_stays():
    record = parse_run_record(OLD.read_text(), source="old.json")
    assert record.schema_version == 2
    first = record.configurations[0]
    assert [window.samples_ns for window in first.windows] == [VALUE["configurations"][0]["samples_ns"]]
    assert first.windows[0].runs == 20
    assert isinstance(first.windows[0].power, Unavailable)
    place = Configuration(batch=1, threads=1)
    assert record.value("latency", "p50", place) == pytest.approx(np.median(first.windows[0].samples_ns))
    assert len(record.metrics) == len(VALUE["metrics"])
    assert record.configurations[-1].unavailable == "RESHAPE has a constant shape"


def test_what_an_old_record_does_not_hold_is_not_invented():
    record = parse_run_record(OLD.read_text(), source="old.json")
    assert record.verdict is None
    assert record.verdicts == []
    assert isinstance(record.power_sensor, Unavailable)
    assert isinstance(record.find("energy_per_inference"), UnavailableMetric)
    assert record.find("energy") is None
    assert record.profile is None


def test_reading_it_again_in_todays_shape_changes_nothing():
    record = parse_run_record(OLD.read_text(), source="old.json")
    assert parse_run_record(record.to_json(), source="new.json") == record


json_values = (
    st.none() | st.integers() | st.text(max_size=5) | st.lists(st.integers() | st.none(), max_size=3)
)


@given(st.sampled_from(sorted(VALUE)), json_values)
def test_a_damaged_old_record_is_one_clear_error(key, value):
    if key == "schema_version":
        return
    try:
        parse_run_record(json.dumps({**VALUE, key: value}), source="old.json")
    except MeasurementError as err:
        assert "old.json" in err.message
