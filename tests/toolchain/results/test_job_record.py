"""A record comes from a device: whatever it holds, it is either right or one clear error."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.toolchain.errors import AgentError
from edgepack.toolchain.results.job_record import (
    ConfigurationUnavailable,
    MemoryUse,
    Unavailable,
    parse_job_record,
)
from tests.toolchain.records import make_configuration, make_job, make_manifest, make_power, make_window


def parse(**changes):
    return parse_job_record(json.dumps(make_job(make_manifest(), **changes)).encode())


def refused(**changes) -> str:
    with pytest.raises(AgentError) as caught:
        parse(**changes)
    assert "edgepack deploy" in caught.value.remedy
    return caught.value.message


def test_a_good_record():
    job = parse()
    assert isinstance(job.memory, MemoryUse)
    assert isinstance(job.configurations[-1], ConfigurationUnavailable)
    assert job.evaluation.outputs[0].array().shape == (40, 4)
    assert job.facts_before.cpu.model == "Cortex-A72"


def test_figures_that_were_not_taken_keep_their_reason():
    job = parse(memory={"unavailable": "no /proc"}, evaluation={"unavailable": "not asked for"})
    assert job.memory == Unavailable(unavailable="no /proc")
    assert job.evaluation == Unavailable(unavailable="not asked for")


def test_unknown_fields_are_ignored_and_unknown_facts_are_none():
    assert parse(later="x", facts_before={}).facts_before.cpu is None


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"record": 3}, "version 3"),
        ({"record": "1"}, "version '1'"),
        ({"job_id": "../../x"}, "job_id"),
        ({"package_id": "A" * 64}, "package_id"),
        ({"name": "../x"}, "name"),
        ({"started_unix_ns": -1}, "started_unix_ns"),
        ({"started_unix_ns": 1 << 70}, "started_unix_ns"),
        ({"agent": "x" * 2000}, "agent"),
        ({"configurations": []}, "configurations"),
        ({"configurations": [{"batch": 1, "threads": 1}]}, "configurations.0"),
        ({"configurations": [{"batch": 0, "threads": 1, "unavailable": "x"}]}, "configurations.0"),
        ({"configurations": [{"batch": 1, "threads": 1, "unavailable": "x"}] * 300}, "configurations"),
        ({"runtime": {"kind": "litert"}}, "runtime"),
        ({"memory": {"peak_rss_bytes": -5, "baseline_rss_bytes": 0}}, "memory"),
        ({"facts_before": {"temperatures_c": [{"name": "x", "value": "hot"}]}}, "temperatures_c"),
    ],
)
def test_what_is_out_of_bounds_is_named(changes, where):
    assert where in refused(**changes)


def test_texts_cannot_command_a_terminal_or_break_an_encoding():
    evil = "pi\x1b]0;owned\x07\u202e\ud800\nx"
    facts = {"hostname": evil, "model": evil}
    job = parse(facts_before=facts, memory={"unavailable": evil * 200})
    assert job.facts_before.hostname == "pi\ufffd]0;owned\ufffd\ufffd\ufffd x"
    assert len(job.memory.unavailable) == 1024
    assert job.memory.unavailable.isprintable()
    job.memory.unavailable.encode()


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"samples_ns": [1, -1]}, "samples_ns"),
        ({"samples_ns": []}, "samples_ns"),
        ({"samples_ns": [1.5]}, "samples_ns"),
        ({"runs": 0}, "runs"),
        ({"sample_stride": 0}, "sample_stride"),
        ({"states": [{"clock_ns": -1}]}, "states"),
        ({"states": [{"clock_ns": 0, "temperatures_c": [{"name": "x", "value": "hot"}]}]}, "temperatures_c"),
        ({"power": None}, "power"),
        ({"power": make_power(1.0, 1000, coverage=1.5)}, "power"),
        ({"power": {**make_power(1.0, 1000), "joules": 1e300}}, "power"),
        ({"power": make_power(1.0, 1000, trace={"clock_ns": [1, 2], "watts": [1.0]})}, "power"),
    ],
)
def test_windows_are_bounded(changes, where):
    window = make_window([1, 2, 3], **changes)
    assert where in refused(configurations=[{**make_configuration(1, 1), "windows": [window]}])


def test_a_configuration_without_a_window_that_counts_is_refused():
    windows = [make_window([1, 2], rejected="throttled")]
    assert "configurations.0" in refused(configurations=[{**make_configuration(1, 1), "windows": windows}])
    assert "configurations.0" in refused(configurations=[{**make_configuration(1, 1), "windows": []}])


@pytest.mark.parametrize(
    "output",
    [
        {"name": "y", "dtype": "int8", "shape": [40, 4], "base64": "AAAA"},
        {"name": "y", "dtype": "int8", "shape": [40, 1 << 31, 1 << 31], "base64": "AAAA"},
        {"name": "y", "dtype": "object", "shape": [40, 4], "base64": "AAAA"},
        {"name": "y", "dtype": "int8", "shape": [39, 1], "base64": "A" * 52},
        {"name": "y", "dtype": "int8", "shape": [], "base64": ""},
    ],
)
def test_outputs_must_be_as_large_as_they_say(output):
    assert "evaluation" in refused(evaluation={"count": 40, "outputs": [output]})


def test_outputs_that_are_not_base64():
    output = {"name": "y", "dtype": "int8", "shape": [3, 1], "base64": "####"}
    job = parse(evaluation={"count": 3, "outputs": [output]})
    with pytest.raises(AgentError, match="not valid base64"):
        job.evaluation.outputs[0].array()


def version_1(job):
    """A job's record as the first agents wrote it: one window a configuration, lying in the configuration."""
    kept = {key: job[key] for key in job if key not in ("power_sensor", "profile", "roofline", "control")}
    old = []
    for found in job["configurations"]:
        flat = {key: found[key] for key in found if key not in ("windows", "idle", "delegate", "settled")}
        for key in ("samples_ns", "window_ns", "cpu_ns", "stopped_by"):
            flat |= {key: found["windows"][0][key]} if "windows" in found else {}
        old.append(flat)
    return {**kept, "record": 1, "configurations": old}


def test_a_record_that_waited_on_its_device_through_an_upgrade_is_read():
    new = make_job(make_manifest())
    job = parse_job_record(json.dumps(version_1(new)).encode())
    assert job.record == 2
    first = job.configurations[0]
    assert [window.samples_ns for window in first.windows] == [
        new["configurations"][0]["windows"][0]["samples_ns"]
    ]
    assert isinstance(first.windows[0].power, Unavailable)
    assert isinstance(job.power_sensor, Unavailable)
    assert isinstance(job.configurations[-1], ConfigurationUnavailable)
    assert job.evaluation.count == 40


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b"\xff", b'{"record": 2}', b"[" * 100_000])
def test_bytes_that_are_no_record(data):
    with pytest.raises(AgentError):
        parse_job_record(data)


def test_nan_is_no_number():
    text = json.dumps(make_job(make_manifest())).replace("48.2", "NaN")
    with pytest.raises(AgentError, match="NaN"):
        parse_job_record(text.encode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3)
    ),
    max_leaves=8,
)
GOOD = make_job(make_manifest())


@given(st.sampled_from(sorted(GOOD)), json_values)
def test_any_other_value_anywhere_is_right_or_one_error(key, value):
    try:
        job = parse_job_record(json.dumps({**GOOD, key: value}).encode())
    except AgentError:
        return
    assert job.record == 2


def test_outputs_are_read_little_endian():
    output = {"name": "y", "dtype": "int16", "shape": [2], "base64": "AQIDBA=="}
    job = parse(evaluation={"count": 2, "outputs": [output]})
    np.testing.assert_array_equal(job.evaluation.outputs[0].array(), [0x0201, 0x0403])
