"""What a benchmark may be asked to do."""

from __future__ import annotations

from typing import Any

import pytest

from edgepack.device_agent.errors import AgentError
from edgepack.device_agent.spec import check_spec, configurations, kept_samples
from edgepack.toolchain.measure.job import BenchSpec
from edgepack.toolchain.results.job_record import BenchSpec as RecordedSpec


def test_the_host_and_the_device_have_the_same_defaults() -> None:
    found = check_spec({})
    for key, value in vars(BenchSpec(batches=(1,), threads=(1,))).items():
        expected = list(value) if isinstance(value, tuple) else value
        assert found[key] == (expected if key != "power_settings" else {}), key
    assert set(found) <= {*vars(BenchSpec()), "power_settings"}
    RecordedSpec.model_validate(found)


def test_what_the_host_sends_is_what_is_measured() -> None:
    asked = {
        "batches": [1, 8], "threads": [4], "delegates": ["none", "xnnpack"], "quick": True,
        "warmup_min_runs": 0, "warmup_min_seconds": 0, "warmup_max_seconds": 1.5, "windows": 3,
        "min_runs": 2, "min_seconds": 0.1, "max_seconds": 3, "memory": False, "evaluation": False,
        "profile": True, "pin": [3, 2, 3], "governor": "performance", "cool_to_c": 45,
        "cool_timeout_seconds": 0, "power": "hwmon:ina226", "power_settings": {"shunt_ohm": 0.1},
    }  # fmt: skip
    assert check_spec({**asked, "unknown": 1}) == {**asked, "pin": [2, 3]}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batches", []), ("batches", [0]), ("batches", [True]), ("batches", "1"), ("batches", [1] * 33),
        ("threads", [257]), ("delegates", []), ("delegates", ["gpu"]), ("delegates", "none"),
        ("delegates", [[]]), ("windows", 0), ("windows", 65), ("windows", 2.0), ("windows", True),
        ("min_runs", 0), ("min_seconds", -1),
        ("min_seconds", "1"), ("max_seconds", 0), ("max_seconds", float("nan")), ("warmup_max_seconds", 1e9),
        ("pin", []), ("pin", [-1]), ("pin", [1.0]), ("pin", "0-3"), ("governor", "../x"), ("governor", ""),
        ("governor", 1), ("cool_to_c", "45"), ("cool_to_c", 1000), ("cool_to_c", float("nan")), ("power", ""),
        ("power", None), ("power", "a\nb"), ("power_settings", []), ("power_settings", {"a": "x" * 20_000}),
    ],
)  # fmt: skip
def test_what_is_refused_is_named(key: str, value: Any) -> None:
    with pytest.raises(AgentError, match=f"spec.{key}") as caught:
        check_spec({key: value})
    assert caught.value.code == "bad_request"


def test_a_spec_is_an_object() -> None:
    with pytest.raises(AgentError, match="not an object"):
        check_spec([])


def test_configurations_are_every_combination_and_bounded() -> None:
    spec = check_spec({"batches": [1, 2], "threads": [1, 4], "delegates": ["xnnpack", "none"]})
    found = configurations(spec)
    assert len(found) == 8
    assert found[0] == {"batch": 1, "threads": 1, "delegate": "xnnpack"}
    with pytest.raises(AgentError, match="1024 configurations"):
        check_spec({"batches": list(range(1, 33)), "threads": list(range(1, 33))})


def test_the_record_stays_of_a_size_to_send() -> None:
    assert kept_samples(check_spec({})) == 10_000
    large = check_spec({"batches": list(range(1, 33)), "threads": [1, 2, 3, 4, 5, 6, 7, 8], "windows": 64})
    assert kept_samples(large) * 256 * 64 * 9 < 100 << 20
    assert kept_samples(large) % 2 == 0
