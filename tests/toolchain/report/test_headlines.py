from __future__ import annotations

from edgepack.toolchain.report.headlines import cards, verdicts
from edgepack.toolchain.report.view import group_models, headline_configuration
from tests.toolchain.records import make_record
from tests.toolchain.report.throttled import judged


def both(why: str | None):
    records = [
        make_record(precision).model_copy(update={"verdicts": []}) for precision in ("float32", "int8")
    ]
    return group_models([judged(record, headline_configuration(record), why=why) for record in records])[0]


def test_the_lowest_latency_says_whether_it_is_stable():
    assert cards(both(None))[0].note == "int8 · pi4, batch 1, 4 threads: stable"
    assert cards(both("it drifts"))[0].note == "int8 · pi4, batch 1, 4 threads: unstable"


def test_a_sentence_about_unstable_runs_says_so():
    assert verdicts(both(None))[0].startswith("On pi4, int8 is 2.2 times faster than float32")
    assert "unstable" not in verdicts(both(None))[0]
    sentence = verdicts(both("it drifts"))[0]
    assert sentence.endswith("The latencies of float32 and int8 are unstable: do not rely on this.")
