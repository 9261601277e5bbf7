from __future__ import annotations

import json
import re
from array import array

import pytest

from edgepack.device_agent.power.samples import Cut
from edgepack.device_agent.power.source import Traits
from edgepack.device_agent.power.value import power_value, thin

IDENTITY = {"sensor": "hwmon:ina226", "driver": "hwmon", "covers": "the board"}
S = 1_000_000_000
PLAIN = Traits()


def cut(times: list[int], watts: float = 2.0, **changes) -> Cut:
    facts = {"dropped": 0, "fault": None, "forgotten": False, **changes}
    return Cut(array("q", times), array("d", [watts] * len(times)), **facts)


def value(samples: Cut, window=(S, 2 * S), traits: Traits = PLAIN, objection=None) -> dict:
    return power_value(IDENTITY, traits, samples, window, lambda *_: objection)


GOOD = [S + n * 10_000_000 for n in range(101)]


def test_a_whole_window() -> None:
    found = value(cut(GOOD), traits=Traits(resolution_w=0.025))
    assert found == {
        **IDENTITY,
        "joules": pytest.approx(2.0),
        "uncertainty_j": pytest.approx(2 * 0.025 / 12**0.5),
        "average_w": pytest.approx(2.0),
        "peak_w": 2.0,
        "duration_ns": S,
        "samples": 101,
        "dropped": 0,
        "coverage": 1.0,
        "resolution_w": 0.025,
        "interval_ns": 10_000_000,
        "trace": {"clock_ns": GOOD, "watts": [2.0] * 101},
    }
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("samples", "traits", "reason"),
    [
        (cut(GOOD, fault="the sensor disappeared"), Traits(), "disappeared"),
        (cut(GOOD, forgotten=True), Traits(), "older than the samples"),
        (cut(GOOD), Traits(min_window_ns=10 * S), "1.0 s is too short for this sensor's rate; it needs 10 s"),
        (cut([]), Traits(), "0 samples .* gave no sample"),
        (cut([S, S + 500_000_000]), Traits(), "2 samples .* 3 are needed"),
        (cut(GOOD[:80]), Traits(), "cover 79% .* last sample came 0.21 s before"),
        (cut(GOOD[:30] + GOOD[60:]), Traits(), "cover 69% .* has gaps"),
        (cut(GOOD, dropped=1), Traits(max_dropped_share=0.001), "lost 0.98% of its samples"),
        (cut(GOOD, watts=0.0), Traits(), "0 W on average"),
        (cut(GOOD, watts=-1.0), Traits(), "other way round"),
    ],
)
def test_what_cannot_be_trusted_is_unavailable_with_its_reason(samples, traits, reason) -> None:
    found = value(samples, traits=traits)
    assert set(found) == {"sensor", "unavailable"}
    assert found["sensor"] == "hwmon:ina226"
    assert re.search(reason, found["unavailable"]), found


def test_lost_samples_of_a_polled_sensor_show_in_the_coverage_only() -> None:
    found = value(cut(GOOD, dropped=3))
    assert found["dropped"] == 3
    assert found["joules"] == pytest.approx(2.0)


def test_what_the_source_objects_to() -> None:
    assert value(cut(GOOD), objection="the gauges disagree")["unavailable"] == "the gauges disagree"


@pytest.mark.parametrize("count", [1, 499, 500, 501, 1234, 100_000])
def test_a_trace_has_at_most_500_points_and_the_same_mean(count: int) -> None:
    clock_ns, watts = thin(range(count), [float(n) for n in range(count)], 500)
    assert len(clock_ns) == len(watts) <= 500
    assert watts == sorted(watts)
    assert watts[0] <= count / 2 <= watts[-1] + count / len(watts) + 1
