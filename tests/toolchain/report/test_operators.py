from __future__ import annotations

from edgepack.toolchain.report.operators import MOST_EXPENSIVE, operator_table
from tests.toolchain.records import make_record
from tests.toolchain.report.throttled import PROFILE, make_full_record


def test_the_most_expensive_come_first_with_their_share():
    table = operator_table(make_full_record(), None)
    assert len(table.rows) == MOST_EXPENSIVE
    assert [row[0].text for row in table.rows[:3]] == [
        "1 CONV_2D",
        "2 DEPTHWISE_CONV_2D",
        "3 FULLY_CONNECTED",
    ]
    whole = sum(operator["time_ns"] for operator in PROFILE["operators"])
    assert table.rows[0][1].text == f"{180_000 / whole * 100:.2f} %"
    assert (table.rows[0][2].text, table.rows[0][2].detail) == ("180 µs", "± 5.4 µs")


def test_how_times_were_taken_is_said():
    assert "derived from models cut off" in operator_table(make_full_record(), None).note
    measured = make_full_record(profile={**PROFILE, "method": "runtime", "note": "Delegated nodes are one."})
    note = operator_table(measured, None).note
    assert "timed by the runtime itself" in note
    assert "Delegated nodes are one." in note
    assert "the whole model takes 530 µs when nothing is profiled" in note


def test_no_profile_no_table():
    assert operator_table(make_record(), None) is None
