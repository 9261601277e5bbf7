from __future__ import annotations

from edgepack.toolchain.report.comparison_section import comparison_section
from edgepack.toolchain.results.compare import compare
from edgepack.toolchain.results.gates import parse_gate
from tests.toolchain.records import make_configuration, make_record


def slower(by: float):
    return make_record(minutes=5, configurations=[make_configuration(1, 1, scale=by)])


def section(by: float, gate: str = "latency_p90=+5%"):
    base = make_record(tag="baseline", configurations=[make_configuration(1, 1)])
    return comparison_section(compare(base, slower(by), [parse_gate("max", gate)]), 1)


def row_of(found, label):
    return next(row for row in found["table"]["rows"] if row[0].text == label)


def test_a_slowdown_is_worse_in_words_and_fails_its_gate():
    found = section(1.2)
    assert found["passed"] is False
    row = row_of(found, "latency p90")
    assert row[3].text == "+20.0 %"
    assert row[4].text.startswith("worse")
    assert row[4].tone == "bad"
    assert row[5].text.startswith("FAILED")
    assert "baseline" in found["base"]


def test_the_same_again_passes():
    found = section(1.0)
    assert found["passed"] is True
    assert row_of(found, "latency p50")[4].tone is None
    assert row_of(found, "latency p90")[5].text.startswith("passed")


def test_nothing_is_left_out():
    base = make_record(tag="baseline")
    found = comparison_section(compare(base, make_record(minutes=5)), 1)
    shown = len(found["table"]["rows"]) + len(found["rest"]["rows"])
    assert shown == len(compare(base, make_record(minutes=5)).changes)
    assert found["rest"]["headings"][0]["text"] == "configuration"
    assert "gate" not in [heading["text"] for heading in found["table"]["headings"]]
