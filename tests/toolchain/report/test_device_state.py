from __future__ import annotations

from edgepack.toolchain.report.device_state import device_facts, run_states, throttling
from edgepack.toolchain.results.window_record import Cooling, State, Throttling
from tests.toolchain.records import facts, make_record
from tests.toolchain.report.throttled import make_full_record


def state(bits: int, now: list[str], since_boot: list[str]) -> State:
    return State(clock_ns=0, throttling=Throttling(bits=bits, now=now, since_boot=since_boot))


def test_bits_are_named_by_their_meaning():
    states = [
        state(0, [], []),
        state(0x50005, ["under-voltage", "throttled"], ["under-voltage", "throttled"]),
    ]
    assert throttling(states) == "during the run: under-voltage, throttled (bits 0x50005)"
    assert throttling([state(0x10000, [], ["under-voltage"])]) == (
        "none during the run; since the device was started: under-voltage (bits 0x10000)"
    )
    assert throttling([state(0, [], [])]) == "none, and none since the device was started"


def test_a_device_without_such_firmware_is_not_called_fine():
    assert throttling([State(clock_ns=0)]) == "the device has no firmware that says"


def test_what_changed_has_an_arrow():
    facts = dict(device_facts(make_record()))
    assert facts["temperature"] == "48.2 °C (cpu-thermal) → 55.0 °C (cpu-thermal)"
    assert facts["governor"] == "ondemand"


def test_throttled_windows_show_in_clock_and_temperature():
    facts = dict(device_facts(make_full_record()))
    assert facts["hottest in the windows"] == "82.0 °C (cpu-thermal)"
    assert facts["clocks in the windows"] == "1 GHz to 1.5 GHz; allowed 1.5 GHz, at times only 1 GHz"
    assert "soft temperature limit" in facts["throttling"]
    assert facts["power sensor"].startswith("hwmon:ina226")
    assert facts["load before"].startswith("0.20")


def test_states_are_in_the_order_of_time():
    clocks = [found.clock_ns for found in run_states(make_full_record())]
    assert clocks == sorted(clocks)
    assert len(clocks) == 2 * (6 + 5 * 3)


def test_what_slowed_the_processor_down_is_said():
    record = make_record()
    first = record.configurations[0]
    cooled = [
        state.model_copy(update={"throttle_events": 3 + i, "cooling": [Cooling(name="cpufreq-cpu0", step=i)]})
        for i, state in enumerate(first.windows[0].states)
    ]
    windows = [first.windows[0].model_copy(update={"states": cooled})]
    record = record.model_copy(update={"configurations": [first.model_copy(update={"windows": windows})]})
    assert dict(device_facts(record))["slowed down by"] == (
        "cpufreq-cpu0 up to step 1, 1 throttle events of the processor"
    )
    assert "slowed down by" not in dict(device_facts(make_record()))


def test_cooling_devices_come_through_the_record():
    state = {"clock_ns": 1, "cooling": [{"name": "cpufreq-cpu0", "step": 2}]}
    assert State.model_validate(state).cooling == [Cooling(name="cpufreq-cpu0", step=2)]


def test_firmware_is_named_where_it_is_known():
    known = make_record(facts_before=facts(firmware="2026-10-01", microcode="0x2f"))
    assert dict(device_facts(known))["firmware"] == "2026-10-01"
    assert dict(device_facts(known))["microcode"] == "0x2f"
    assert "firmware" not in dict(device_facts(make_record()))
