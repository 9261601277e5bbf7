"""The windows of a configuration: a real child with a real model, on a device whose files the test writes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from edgepack.device_agent import children, state, throttle, windows
from edgepack.device_agent.conversation import Conversation
from edgepack.device_agent.meter import Meter, open_meter
from edgepack.device_agent.runtimes import Runtime
from edgepack.device_agent.state import StateReader
from edgepack.device_agent.sysfs import Sources
from edgepack.device_agent.windows import Bench, measure_configuration
from edgepack.toolchain.results.job_record import ConfigurationSamples, ConfigurationUnavailable
from tests.device_agent.conftest import write_package

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.device_agent.conftest import BuiltPackage

    Measure = Callable[..., dict[str, Any]]

SYSTEM = Runtime("system", "litert", None, None, None, system_site=True)
SPEC = {
    "warmup_min_runs": 1, "warmup_min_seconds": 0.0, "warmup_max_seconds": 0.05,
    "windows": 2, "min_runs": 5, "min_seconds": 0.05, "max_seconds": 5.0, "cool_timeout_seconds": 5.0,
}  # fmt: skip
POWER = {
    "sensor": "fake:1", "driver": "fake", "covers": "nothing", "joules": 0.1, "uncertainty_j": 0.0,
    "average_w": 2.0, "peak_w": 2.0, "duration_ns": 50_000_000, "samples": 50, "dropped": 0, "coverage": 1.0,
    "interval_ns": 1000,
}  # fmt: skip


class Board:
    """A Raspberry Pi of files, and the power sensor through which a test knows when a window begins."""

    name, driver, covers = "fake:1", "fake", "nothing"

    def __init__(self, root: Path) -> None:
        self.sources = Sources(root / "sys", root / "proc", ())
        self.spans: list[tuple[int, int]] = []
        self.at_begin: list[Callable[[], None]] = []
        self.told: list[str] = []
        self._root = root
        self._begun = 0
        self.temperature_c(50.0)
        self.word("0")
        self.put("sys/class/thermal/thermal_zone0/type", "cpu-thermal")
        self.put("sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq", "1500000")

    def put(self, name: str, content: str) -> None:
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def temperature_c(self, value: float) -> None:
        self.put("sys/class/thermal/thermal_zone0/temp", f"{value * 1000:.0f}")

    def word(self, bits: str) -> None:
        self.put("sys/devices/platform/soc/soc:firmware/get_throttled", bits)

    def begin(self) -> None:
        if self.at_begin:
            self.at_begin.pop(0)()
        self._begun = time.monotonic_ns()

    def end(self) -> dict[str, Any]:
        self.spans.append((self._begun, time.monotonic_ns()))
        return dict(POWER)

    def close(self) -> None:
        pass

    def tell(self, what: str) -> None:
        """Be told that it cools down, and cool down."""
        self.told.append(what)
        self.temperature_c(50.0)
        self.word("50000")


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path / "board")


@pytest.fixture
def measure(
    board: Board, package: BuiltPackage, tmp_path: Path, agent_file: Path, monkeypatch: pytest.MonkeyPatch
) -> Measure:
    monkeypatch.setattr(children, "AGENT_PATH", agent_file)
    monkeypatch.setattr(throttle.cool_down, "__kwdefaults__", {"poll_s": 0.01})
    folder = write_package(package, tmp_path / "package")

    def measure(meter: Meter | None = None, pin: list[int] | None = None, **changes: Any) -> dict[str, Any]:
        where = {"batch": 1, "threads": 1, "delegate": "xnnpack", **changes.pop("where", {})}
        spec = {**SPEC, **changes}
        request = {"op": "latency", "package": str(folder), "spec": spec, "max_samples": 1000, "pin": pin}
        reader = StateReader(board.sources)
        bench = Bench(spec, reader, meter or Meter(board), [1_500_000_000], 52.0, board.tell)
        with Conversation(SYSTEM, {**request, **where}) as talk:
            return measure_configuration(talk, where, bench)

    return measure


def test_each_window_has_its_inputs_states_and_power(board: Board, measure: Measure) -> None:
    raw = measure(windows=4)
    found = ConfigurationSamples.model_validate(raw)
    assert [window.inputs for window in found.windows] == [0, 1, 2, 3], (
        "there are three cases: the last wraps"
    )
    assert all(window.rejected is None and window.attempt == 1 for window in found.windows)
    assert found.idle is not None
    for window in found.windows:
        assert window.window_ns >= 50_000_000
        assert len(window.samples_ns) == -(-window.runs // window.sample_stride)
        assert window.cpu_ns
        assert window.states[0].clock_ns < window.start_clock_ns
        assert window.states[-1].clock_ns >= window.start_clock_ns + window.window_ns
        assert window.states[0].temperatures_c
    starts = [window.start_clock_ns for window in found.windows]
    assert starts == sorted(starts)


def test_power_covers_the_window_and_hardly_more(board: Board, measure: Measure) -> None:
    """Idle before, the windows, idle after: each span holds its window."""
    raw = measure(min_seconds=0.3, windows=4)
    before, *spans, after = board.spans
    beside_ns = []
    for span, window in zip(spans, raw["windows"], strict=True):
        begin, end = window["start_clock_ns"], window["start_clock_ns"] + window["window_ns"]
        assert span[0] < begin
        assert end < span[1]
        beside_ns.append(span[1] - span[0] - window["window_ns"])
    assert min(beside_ns) < 5_000_000, "a fraction of a millisecond where nobody else wants the CPU"
    assert all(300_000_000 <= end - begin < 600_000_000 for begin, end in (before, after))
    assert before[1] < spans[0][0]
    assert after[0] > spans[-1][1]


def test_idle_times_are_told_for_a_meter_elsewhere(measure: Measure) -> None:
    raw = measure(open_meter({"power": "host", "power_settings": {}}), min_seconds=0.2, windows=2)
    found = ConfigurationSamples.model_validate(raw)
    assert found.idle is not None
    before, after = found.idle.before_span, found.idle.after_span
    first, last = found.windows[0], found.windows[-1]
    for span in (before, after):
        assert 200_000_000 <= span.duration_ns < 400_000_000
    assert before.start_clock_ns + before.duration_ns < first.start_clock_ns
    assert after.start_clock_ns > last.start_clock_ns + last.window_ns
    assert all("not cabled to the device" in window.power.unavailable for window in found.windows)


def test_without_a_sensor_there_is_no_idle_power(measure: Measure) -> None:
    raw = measure(Meter(None, "none here"))
    assert raw["idle"] is None
    assert [window["power"] for window in raw["windows"]] == [{"unavailable": "none here"}] * 2


def test_states_are_read_during_a_window(measure: Measure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state.StateSampler.__init__, "__defaults__", (0.02,))
    raw = measure(windows=1, min_seconds=0.3)
    (window,) = raw["windows"]
    start, end = window["start_clock_ns"], window["start_clock_ns"] + window["window_ns"]
    assert len([one for one in window["states"] if start < one["clock_ns"] < end]) >= 2


def test_a_throttled_window_is_repeated_after_a_cool_down(board: Board, measure: Measure) -> None:
    def hot() -> None:
        board.temperature_c(82.0)
        board.word("50005")

    board.at_begin = [lambda: None, lambda: None, hot]  # idle, the first window, the second
    found = ConfigurationSamples.model_validate(measure())
    assert [(window.inputs, window.attempt) for window in found.windows] == [(0, 1), (1, 1), (1, 2)]
    assert [window.rejected is None for window in found.windows] == [True, False, True]
    reason = str(found.windows[1].rejected)
    assert reason.startswith("throttled: the firmware says under-voltage, throttled (bits 0x50005)")
    assert "50.0 to 82.0 °C" in reason
    assert board.told == ["cooling down from 82 °C to 52 °C"]
    assert found.windows[2].states[0].temperatures_c[0].value == 50.0  # type: ignore[index]
    assert len(found.accepted) == 2


def test_after_three_attempts_the_configuration_is_unavailable(board: Board, measure: Measure) -> None:
    board.put("sys/class/thermal/cooling_device0/type", "cpufreq-cpu0")
    board.put("sys/class/thermal/cooling_device0/cur_state", "2")
    raw = measure(cool_timeout_seconds=0.02)
    found = ConfigurationUnavailable.model_validate(raw)
    assert "samples_ns" not in raw
    assert [(window.inputs, window.attempt) for window in found.windows] == [(0, 1), (0, 2), (0, 3)]
    assert found.unavailable.startswith("throttled: the kernel cools the CPU by cpufreq-cpu0, step 2")
    assert "temperatures 50.0 to 50.0 °C; so in each of 3 attempts" in found.unavailable
    assert all(window.rejected for window in found.windows)


def test_a_clock_that_was_taken_away_before_the_window(board: Board, measure: Measure) -> None:
    board.put("sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq", "1000000")
    found = measure(cool_timeout_seconds=0)
    assert "core 0 may have fell from 1500 MHz to 1000 MHz" in found["unavailable"]


def test_a_pinned_process_runs_where_it_was_pinned(measure: Measure) -> None:
    import os

    cpu = min(os.sched_getaffinity(0))
    raw = measure(pin=[cpu], where={"threads": 2}, windows=1)
    assert raw["windows"][0]["cpu_ns"] <= 1.05 * raw["windows"][0]["window_ns"], "two threads on one CPU"


def test_delegates_run_and_give_the_same_outputs(measure: Measure) -> None:
    for delegate in ("xnnpack", "none"):
        raw = measure(where={"delegate": delegate}, windows=1)
        assert raw["delegate"] == delegate
        assert raw["windows"][0]["runs"] >= 5


def test_an_answer_of_unavailable_ends_the_configuration(board: Board) -> None:
    """Golden outputs of a later rotation that are wrong: the windows so far are kept."""

    class Talk:
        def ask(self, operation: str, *, timeout_s: float, **fields: Any) -> dict[str, Any]:
            if operation == "prepare" and fields["inputs"] == 1:
                return {"unavailable": "the output 'y' is off"}
            window = {"start_clock_ns": 1, "window_ns": 1, "runs": 1, "sample_stride": 1}
            return {"load": {}, "window": window, "samples": {"samples_ns": [1]}}.get(operation, {})

    bench = Bench(
        {**SPEC, "min_seconds": 0.0}, StateReader(board.sources), Meter(None, "no"), None, None, print
    )
    found = measure_configuration(Talk(), {"batch": 1, "threads": 1, "delegate": "none"}, bench)  # type: ignore[arg-type]
    assert found["unavailable"] == "the output 'y' is off"
    assert [window["inputs"] for window in found["windows"]] == [0]
    assert windows.ATTEMPTS == 3
