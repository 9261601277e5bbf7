from __future__ import annotations

import pytest

from edgepack.toolchain.results.throttling import throttling_signs
from edgepack.toolchain.results.window_record import State


def states(*changes):
    return [State.model_validate({"clock_ns": index, **change}) for index, change in enumerate(changes)]


def word(now=(), since_boot=()):
    return {"throttling": {"bits": 0, "now": list(now), "since_boot": list(since_boot)}}


@pytest.mark.parametrize(
    ("changes", "signs"),
    [
        ([], ()),
        ([{}, {}], ()),
        ([word(since_boot=["throttled"]), word(since_boot=["throttled"])], ()),  # long before
        ([word(), word(now=["frequency capped"]), word()], ("frequency capped",)),
        ([word(), word(since_boot=["under-voltage"])], ("under-voltage",)),  # between two looks
        ([{"throttle_events": 5}, {"throttle_events": 7}], ("2 throttle events",)),
        ([{"throttle_events": 5}, {"throttle_events": 5}], ()),
        (
            [{"max_clocks_hz": [1_800_000_000, None]}, {"max_clocks_hz": [1_200_000_000, None]}],
            ("highest clock allowed from 1800 to 1200 MHz",),
        ),
        ([{"max_clocks_hz": [1_200_000_000]}, {"max_clocks_hz": [1_800_000_000]}], ()),
    ],
)
def test_signs(changes, signs):
    assert throttling_signs(states(*changes)) == signs
