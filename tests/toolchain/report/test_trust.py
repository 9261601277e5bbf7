from __future__ import annotations

from edgepack.toolchain.report.trust import mark, verdict_cell, why_unstable
from edgepack.toolchain.report.view import headline_configuration
from tests.toolchain.records import make_record
from tests.toolchain.report.throttled import WHY, judged


def unjudged():
    return make_record().model_copy(update={"verdicts": [], "verdict": None})


def test_unstable_says_why():
    record = make_record()
    place = headline_configuration(record)
    doubtful = judged(record, place)
    cell = verdict_cell(doubtful, place)
    assert (cell.text, cell.tone, cell.detail) == ("unstable", "bad", "drifting; quick")
    assert why_unstable(doubtful, place) == f"unstable because {WHY}"
    assert mark(doubtful, place) == "!"


def test_stable_is_said_in_words():
    record = make_record()
    place = headline_configuration(record)
    fine = judged(record, place, why=None)
    assert verdict_cell(fine, place).text == "stable"
    assert why_unstable(fine, place) is None
    assert mark(fine, place) == "✓"


def test_what_nobody_judged_is_not_stable():
    record = unjudged()
    place = headline_configuration(record)
    cell = verdict_cell(record, place)
    assert (cell.text, cell.tone) == ("—", None)
    assert "nobody judged" in (cell.reason or "")
    assert mark(record, place) == ""


def test_each_cause_is_named_once():
    record = make_record()
    place = headline_configuration(record)
    doubtful = judged(record, place)
    verdict = doubtful.verdicts[-1]
    twice = verdict.model_copy(update={"reasons": [*verdict.reasons] * 2})
    twice_judged = doubtful.model_copy(update={"verdicts": [twice]})
    assert verdict_cell(twice_judged, place).detail == "drifting; quick"


def test_a_run_that_is_not_quick_has_no_such_mark():
    record = make_record()
    place = headline_configuration(record)
    long = record.model_copy(update={"spec": record.spec.model_copy(update={"quick": False})})
    assert verdict_cell(judged(long, place, why=None), place).detail is None
