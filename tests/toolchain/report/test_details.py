from __future__ import annotations

from edgepack.toolchain.report.details import (
    CONFIGURATION_COLUMNS,
    configuration_rows,
    configurations_to_draw,
    judgements,
    power_source,
    rejected_notes,
    run_facts,
)
from edgepack.toolchain.report.view import run_row
from tests.toolchain.records import make_configuration, make_record
from tests.toolchain.report.throttled import REJECTED, WHY, judged, make_full_record


def test_every_configuration_has_a_row():
    record = make_record()
    rows = configuration_rows(record)
    assert len(rows) == len(record.configurations) == 10
    assert all(len(row) == len(CONFIGURATION_COLUMNS) for row in rows)
    assert rows[-1][0].text == "batch 8, 1 thread"
    assert rows[-1][1].reason == "did not run: RESHAPE has a constant shape"


def test_built_in_kernels_are_told_apart():
    both = [make_configuration(1, 1), {**make_configuration(1, 1, scale=2.0), "delegate": "none"}]
    rows = configuration_rows(make_record(configurations=both))
    assert [row[0].text for row in rows] == ["batch 1, 1 thread", "batch 1, 1 thread, built-in kernels"]
    assert rows[0][1].text != rows[1][1].text


def test_rejected_windows_are_counted_and_explained():
    record = make_full_record()
    windows = configuration_rows(record)[0][CONFIGURATION_COLUMNS.index("windows")]
    assert (windows.text, windows.detail) == ("5", "1 rejected")
    assert rejected_notes(record) == [f"Batch 1, 4 threads: 1 window rejected: {REJECTED}"]
    assert rejected_notes(make_record()) == []


def test_judgements_name_the_configuration():
    record = make_record().model_copy(update={"verdicts": []})
    place = record.metrics[0].configuration
    assert judgements(judged(record, place)) == [f"Batch 1, 1 thread: unstable because {WHY}."]
    assert judgements(judged(record, place, why=None)) == []


def test_drawn_are_the_headline_and_what_needs_a_look():
    record = make_full_record()
    record = record.model_copy(update={"verdicts": []})
    doubtful = record.configurations[2]
    place = next(m.configuration for m in record.metrics if m.configuration and m.configuration.batch == 2)
    row = run_row(judged(record, place))
    assert configurations_to_draw(row, 9) == [record.configurations[0], doubtful]
    assert configurations_to_draw(row, 1) == [record.configurations[0]]


def test_facts_of_a_run():
    record = make_full_record(stolen_from="ada@lab", steal_reason="idle for a day")
    facts = dict(run_facts(record))
    assert facts["CPUs"] == "pinned to CPUs 2, 3"
    assert facts["governor"] == "set to performance"
    assert facts["lease"] == "taken from ada@lab: idle for a day"
    assert facts["power"] == "hwmon:ina226, covers the whole supply of the board"
    assert "quick" in facts["method"]


def test_no_sensor_says_why():
    assert power_source(make_record()) == "unavailable: no power sensor"
    assert "refused" not in dict(run_facts(make_record()))
    refused = make_record(control={"pinned": None, "governor": None, "refused": "needs root"})
    assert dict(run_facts(refused))["refused"] == "needs root"
