from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.toolchain.errors import LabError
from edgepack.toolchain.lab.power import PowerLog, as_json, hold, parse_log, ramp

S = 1_000_000_000


def test_energy_of_a_window_with_a_step_in_it() -> None:
    log = PowerLog(((0, 2.0), (3 * S, 5.0), (4 * S, 0.0)))
    assert log.energy_j(S, 3 * S) == pytest.approx(4.0)
    assert log.energy_j(2 * S, 4 * S) == pytest.approx(2.0 + 5.0)
    assert log.energy_j(3 * S + S // 2, 9 * S) == pytest.approx(2.5)
    with pytest.raises(LabError):
        PowerLog(((S, 2.0),)).energy_j(0, 2 * S)


@given(st.lists(st.tuples(st.integers(1, 10**10), st.floats(0, 40)), min_size=1, max_size=20), st.data())
def test_energy_of_neighbouring_windows_adds_up(steps: list[tuple[int, float]], data: st.DataObject) -> None:
    at, changes = 0, []
    for duration, watts in steps:
        changes.append((at, watts))
        at += duration
    log = PowerLog(tuple(changes))
    middle = data.draw(st.integers(0, at))
    whole = log.energy_j(0, at)
    assert whole == pytest.approx(sum(duration * watts for duration, watts in steps) / 1e9, abs=1e-6)
    assert log.energy_j(0, middle) + log.energy_j(middle, at) == pytest.approx(whole, abs=1e-6)


def test_curves() -> None:
    assert hold(2, watts=3).energy_j == 6
    assert ramp(2, start_watts=1, end_watts=5).energy_j == 6
    assert as_json([hold(2, watts=3), ramp(1, start_watts=3, end_watts=9)]) == "[[2, 3, 3], [1, 3, 9]]"


def test_log_of_the_device() -> None:
    assert parse_log("1000 2.00000\n2000 3.50000\n").changes == ((1000, 2.0), (2000, 3.5))
    for damaged in ("1000\n", "x 2.0\n", "1000 2.0 3\n"):
        with pytest.raises(LabError):
            parse_log(damaged)
