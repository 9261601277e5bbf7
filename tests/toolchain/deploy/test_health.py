"""Findings from facts: what stops the work, what spoils it, and that what is unknown is no finding."""

from __future__ import annotations

from typing import Any

import pytest

from edgepack.targets.registry import find_target
from edgepack.toolchain.deploy.facts import Facts
from edgepack.toolchain.deploy.health import Check, Finding, MeterCheck, examine
from tests.toolchain.records import facts

NOW_NS = 1_790_000_000_000_000_000
SENSOR = {"driver": "hwmon", "name": "ina226", "path": "/sys/class/hwmon/hwmon1"}
GOOD = {"governor": "performance", "power_sensors": [SENSOR]}


def findings(
    *, target: str | None = "rpi4", signers: str = "ann ssh-ed25519 AAAA", **changes: Any
) -> list[Finding]:
    parsed = Facts.model_validate(facts(**{**GOOD, **changes}))
    found = find_target(target) if target else None
    return list(examine(parsed, name="pi", target=found, signers=signers, host_unix_ns=NOW_NS))


def test_a_device_that_lacks_nothing() -> None:
    assert findings() == []
    assert findings(target=None) == []


@pytest.mark.parametrize(
    ("changes", "level", "what"),
    [
        ({"ssh_keygen": None}, "missing", "no ssh-keygen"),
        ({"signers": "\n"}, "missing", "trusts no signer"),
        ({"libc": {"kind": "musl", "version": "1.2.5"}}, "missing", "C library is musl"),
        ({"machine": "x86_64"}, "warning", "it is x86_64; its target rpi4 is aarch64"),
        ({"disk": {"free_bytes": 299_999_999}}, "warning", "a runtime needs"),
        ({"clock": {"unix_ns": NOW_NS + 61 * 10**9}}, "warning", "61 s ahead"),
        ({"clock": {"unix_ns": NOW_NS - 3600 * 10**9}}, "warning", "3600 s behind"),
        ({"governor": "ondemand"}, "warning", "governor is ondemand"),
        ({"power_sensors": []}, "warning", "energy is unavailable"),
    ],
)
def test_each_lack_is_found_alone(changes: dict[str, Any], level: str, what: str) -> None:
    (found,) = findings(**changes)
    assert found.level == level
    assert what in found.what
    assert found.remedy


@pytest.mark.parametrize(
    "changes",
    [
        {"disk": {"free_bytes": None}},
        {"disk": {"free_bytes": 300_000_000}},
        {"clock": {"unix_ns": None}},
        {"clock": {"unix_ns": NOW_NS - 60 * 10**9}},
        {"governor": None},
        {"libc": {"kind": None, "version": None}},
    ],
)
def test_what_is_unknown_or_at_the_limit_is_no_finding(changes: dict[str, Any]) -> None:
    assert findings(**changes) == []


def test_a_system_runtime_makes_up_for_the_c_library() -> None:
    runtime = {"kind": "litert", "version": "2.3.0", "numpy": "2.4.6"}
    assert findings(libc={"kind": "musl", "version": "1.2.5"}, system_runtime=runtime) == []


def test_32_bit_python_on_a_64_bit_kernel_is_a_32_bit_device() -> None:
    python = {"version": "3.11.2", "executable": "/usr/bin/python3", "abi": "cp311", "bits": 32}
    assert findings(target="rpi-armv7", python=python) == []
    (found,) = findings(target="rpi4", python=python)
    assert "it is armv7l" in found.what


def test_the_worst_comes_first() -> None:
    found = findings(governor="ondemand", ssh_keygen=None, signers="")
    assert [each.level for each in found] == ["missing", "missing", "warning"]


def test_a_check_as_json_values() -> None:
    parsed = Facts.model_validate(facts())
    check = Check("pi", parsed, ("fashion 0123",), (Finding("warning", "a", "b"),))
    document = check.to_dict()
    assert document["findings"] == [{"level": "warning", "what": "a", "remedy": "b"}]
    assert document["facts"]["machine"] == "aarch64"
    assert document["installed"] == ["fashion 0123"]


def test_a_meter_at_another_machine_stands_for_the_devices_own_sensors() -> None:
    parsed = Facts.model_validate(facts(governor="performance", power_sensors=[]))

    def found(meter: MeterCheck) -> tuple[Finding, ...]:
        return examine(
            parsed, name="pi", target=None, signers="ann ssh-ed25519 AAAA", host_unix_ns=NOW_NS, meter=meter
        )

    assert found(MeterCheck("ppk2", "host", "what it supplies")) == ()
    (finding,) = found(MeterCheck("ppk2", "desk", reason="no such file", remedy="Plug it in."))
    assert finding.what == "its power meter ppk2 (at desk) cannot be read: no such file"
    assert finding.remedy == "Plug it in."
