"""When a window does not count, and waiting until the device is cool."""

from __future__ import annotations

import time
from typing import Any

import pytest

from edgepack.device_agent.throttle import cool_down, throttled

COOL: dict[str, Any] = {
    "governors": ["ondemand"],
    "clocks_hz": [1_500_000_000],
    "max_clocks_hz": [1_500_000_000],
    "temperatures_c": [{"name": "cpu-thermal", "value": 50.0}],
    "throttling": {"bits": 0, "now": [], "since_boot": []},
    "throttle_events": None,
    "cooling": None,
}


def state(temperature_c: float | None = None, **changes: Any) -> dict[str, Any]:
    if temperature_c is not None:
        changes["temperatures_c"] = [{"name": "cpu-thermal", "value": temperature_c}]
    return {**COOL, **changes}


def test_a_cool_device_counts() -> None:
    assert throttled([COOL, COOL, COOL]) is None
    nothing = dict.fromkeys(COOL)
    assert throttled([nothing, nothing]) is None


def test_the_firmware_says_so_now() -> None:
    word = {
        "bits": 0x50005,
        "now": ["under-voltage", "throttled"],
        "since_boot": ["under-voltage", "throttled"],
    }
    for states in ([state(throttling=word), COOL], [COOL, state(66.5, throttling=word), COOL]):
        reason = throttled(states)
        assert reason
        assert reason.startswith("throttled: the firmware says under-voltage, throttled (bits 0x50005)")
    assert "temperatures 50.0 to 66.5 °C" in (reason or "")


def test_the_firmware_says_that_it_happened_between_two_looks() -> None:
    before = {"bits": 0x10000, "now": [], "since_boot": ["under-voltage"]}
    after = {"bits": 0x50000, "now": [], "since_boot": ["under-voltage", "throttled"]}
    assert "meanwhile there was throttled (bits 0x50000)" in str(
        throttled([state(throttling=before), state(throttling=after)])
    )
    assert throttled([state(throttling=before), state(throttling=before)]) is None, "long ago"


def test_counters_of_an_x86_rose() -> None:
    reason = throttled([state(throttle_events=3), state(throttle_events=8)])
    assert "counters rose from 3 to 8" in str(reason)
    assert throttled([state(throttle_events=3), state(throttle_events=3)]) is None


def test_the_kernel_cools_by_slower_cpus() -> None:
    cooled = state(81.0, cooling=[{"name": "cpufreq-cpu0", "step": 2}])
    assert "cpufreq-cpu0, step 2; temperatures 50.0 to 81.0 °C" in str(throttled([COOL, cooled, COOL]))
    assert throttled([state(cooling=[{"name": "cpufreq-cpu0", "step": 0}])] * 2) is None


def test_the_highest_clock_fell() -> None:
    fallen = state(max_clocks_hz=[1_000_000_000])
    assert "core 0 may have fell from 1500 MHz to 1000 MHz" in str(throttled([COOL, fallen, COOL]))
    assert "fell from 1500 MHz" in str(throttled([fallen, fallen], [1_500_000_000])), "before the window"
    assert throttled([fallen, COOL]) is None, "it rose"
    assert throttled([COOL, state(max_clocks_hz=None)]) is None


def test_the_fastest_core_is_slow_and_the_device_hot() -> None:
    slow = state(82.0, clocks_hz=[600_000_000, 1_000_000_000], max_clocks_hz=[1_500_000_000] * 2)
    assert "ran at 1000 MHz of 1500 MHz at 82.0 °C" in str(throttled([COOL, slow, COOL]))
    assert throttled([COOL, {**slow, "temperatures_c": COOL["temperatures_c"]}, COOL]) is None, "cool: idle"
    assert throttled([COOL, {**slow, "temperatures_c": None}, COOL]) is None
    assert throttled([COOL, {**slow, "clocks_hz": [600_000_000, 1_400_000_000]}, COOL]) is None
    assert throttled([COOL, {**slow, "governors": ["powersave"]}, COOL]) is None, "the governor is the reason"
    assert throttled([slow, slow]) is None, "before and after the window nothing runs"
    counting = state(throttle_events=0)
    assert throttled([counting, {**slow, "throttle_events": 0}, counting]) is None, (
        "an x86 would have counted"
    )


class Cooling:
    """A device that gets cooler with every look, and throttles above 60 degrees."""

    def __init__(self, *temperatures_c: float | None) -> None:
        self.left = list(temperatures_c)

    def read(self) -> dict[str, Any]:
        now = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        hot = now is not None and now > 60
        found = {**COOL, "throttling": {"bits": int(hot), "now": ["throttled"] * hot, "since_boot": []}}
        return {**found, "temperatures_c": None if now is None else [{"name": "cpu", "value": now}]}


def cool(device: Cooling, target_c: float | None, timeout_s: float = 5, blind_s: float = 0.05) -> list[str]:
    told: list[str] = []
    cool_down(device, target_c, timeout_s=timeout_s, blind_s=blind_s, tell=told.append, poll_s=0.01)  # type: ignore[arg-type]
    return told


def test_it_waits_for_the_set_point() -> None:
    assert cool(Cooling(55.0, 54.0, 52.0, 51.0), 52.0) == [
        "cooling down from 55 °C to 52 °C",
        "cooling down from 54 °C to 52 °C",
    ]


def test_it_waits_until_nothing_holds_the_device_back() -> None:
    assert len(cool(Cooling(65.0, 64.0, 59.0), 70.0)) == 2


@pytest.mark.parametrize(("device", "target_c"), [(Cooling(None), 50.0), (Cooling(50.0), None)])
def test_it_waits_a_while_where_there_is_no_temperature_to_wait_for(
    device: Cooling, target_c: float | None
) -> None:
    begin = time.monotonic()
    assert set(cool(device, target_c)) == {"cooling down"}
    assert 0.05 <= time.monotonic() - begin < 2


def test_it_gives_up() -> None:
    begin = time.monotonic()
    assert cool(Cooling(80.0), 50.0, timeout_s=0.1)
    assert 0.1 <= time.monotonic() - begin < 2
    assert cool(Cooling(80.0), 50.0, timeout_s=0) == []
