from __future__ import annotations

from typing import Any

import pytest

from edgepack.toolchain.deploy.agent_session import open_session
from edgepack.toolchain.deploy.contention import Contention, told
from edgepack.toolchain.deploy.fitness import MAX_TEMPERATURE_C, require_fit, unfit
from edgepack.toolchain.deploy.inventory import Device, Lab
from edgepack.toolchain.deploy.messages import Health, LeaseHolder
from edgepack.toolchain.errors import AgentError, UnfitError

HOT = [{"name": "cpu-thermal", "value": MAX_TEMPERATURE_C + 1}]


def health(**changes: Any) -> Health:
    value = {"free_bytes": 1 << 30, "unix_ns": 1, "temperatures_c": [{"name": "cpu", "value": 50.0}]}
    return Health.model_validate({**value, "throttling": {"now": [], "since_boot": ["throttled"]}, **changes})


class Told:
    """A session whose device answers `health` with what a test says."""

    def __init__(self, answer: Health) -> None:
        self.device = Device(name="pi4", host="pi4.local")
        self._answer = answer

    def request(self, kind: str, answer: type[Health]) -> Health:
        assert (kind, answer) == ("health", Health)
        return self._answer


def test_what_is_past_stops_nothing() -> None:
    assert unfit(health()) is None
    assert unfit(Health()) is None, "a fact that cannot be had is no fault"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"free_bytes": 1000}, "only 1000 B are free"),
        (
            {"throttling": {"now": ["under-voltage", "throttled"]}},
            "under-voltage and throttled at this moment",
        ),
        ({"temperatures_c": HOT}, "cpu-thermal is at 86 °C"),
    ],
)
def test_an_unfit_device_is_skipped_with_its_reason(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(UnfitError, match="pi4 was skipped: ") as caught:
        require_fit(Told(health(**changes)), Contention(), measuring=True)  # type: ignore[arg-type]
    assert expected in caught.value.message
    assert "next call asks the device again" in caught.value.remedy


def test_heat_stops_no_installation() -> None:
    unfit_now = health(temperatures_c=HOT, throttling={"now": ["throttled"]}, free_bytes=5)
    require_fit(Told(unfit_now), Contention(), measuring=False)  # type: ignore[arg-type]
    with pytest.raises(UnfitError):
        require_fit(Told(unfit_now), Contention(), measuring=True)  # type: ignore[arg-type]


def test_a_leased_device_is_busy_unless_one_waits_or_steals() -> None:
    holder = {"owner": "ann@laptop", "purpose": "benchmarking fashion", "held_s": 250.0, "expires_s": 50.0}
    session: Any = Told(health(lease=holder))
    with pytest.raises(AgentError, match="ann@laptop is benchmarking fashion, since 4 min") as caught:
        require_fit(session, Contention(), measuring=True)
    assert caught.value.code == "busy"
    require_fit(session, Contention(wait_s=1.0), measuring=True)
    require_fit(session, Contention(steal="why"), measuring=True)


def test_since_when_it_is_held() -> None:
    assert told(LeaseHolder(owner="a", purpose="testing")) == "a is testing"
    assert told(LeaseHolder(owner="a", purpose="testing", held_s=3.0)).endswith("since less than a minute")


def test_the_real_agent_says_it(local: Device, lab: Lab) -> None:
    with open_session(local, lab) as session:
        require_fit(session, Contention(), measuring=False)
        assert session.request("health", Health).free_bytes
