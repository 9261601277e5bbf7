"""JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import json

from edgepack.toolchain.report.csv_report import CSV_COLUMNS, csv_report
from edgepack.toolchain.report.json_report import json_report
from edgepack.toolchain.report.markdown_report import escape, markdown_report
from edgepack.toolchain.report.view import headline_configuration
from edgepack.toolchain.results.compare import compare
from edgepack.toolchain.results.gates import parse_gate
from edgepack.toolchain.results.schema import Metric, parse_run_record
from tests.toolchain.records import make_record
from tests.toolchain.report.builds import make_build
from tests.toolchain.report.throttled import REJECTED, WHY, judged, make_full_record


def test_json_holds_everything():
    records, builds = [make_record(), make_record("float32")], [make_build("auto")]
    value = json.loads(json_report(records, builds))
    assert value["schema_version"] == 1
    assert [parse_run_record(json.dumps(r), source="x") for r in value["records"]] == records
    assert value["builds"][0]["search"][0]["description"] == "float16"


def test_csv_has_a_row_a_metric():
    record = make_record()
    every = list(csv.DictReader(io.StringIO(csv_report([record]))))
    assert tuple(every[0]) == CSV_COLUMNS
    rows = [row for row in every if not row["window"]]
    assert len(rows) == len(record.metrics)
    for row, metric in zip(rows, record.metrics, strict=True):
        assert row["metric"] == metric.name
        if isinstance(metric, Metric):
            assert float(row["value"]) == metric.value
            assert row["reason"] == ""
        else:
            assert row["value"] == ""
            assert row["reason"]


def test_csv_has_every_window_with_its_figures():
    record = make_full_record()
    rows = [row for row in csv.DictReader(io.StringIO(csv_report([record]))) if row["window"]]
    ours = [row for row in rows if (row["batch"], row["threads"]) == ("1", "4")]
    medians = [row for row in ours if (row["metric"], row["aggregation"]) == ("window_latency", "p50")]
    assert [row["window"] for row in medians] == ["1", "2", "3", "4", "5", "6"]
    assert [row["rejected"] for row in medians] == ["", "", REJECTED, "", "", ""]
    assert float(medians[2]["value"]) > 1.3 * float(medians[0]["value"])
    energies = [float(row["value"]) for row in ours if row["metric"] == "window_energy"]
    assert energies == [window.power.joules for window in record.configurations[0].windows]
    assert {row["value"] for row in ours if row["metric"] == "window_clock"} == {"1500000000", "1000000000"}


def test_csv_says_why_a_window_has_no_energy():
    rows = csv.DictReader(io.StringIO(csv_report([make_record()])))
    energies = [row for row in rows if row["metric"] == "window_energy"]
    assert {(row["value"], row["reason"]) for row in energies} == {("", "no power sensor")}


def test_csv_texts_are_no_formulas():
    for bad in ('=HYPERLINK("http://x")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"):
        text = csv_report([make_record(device=bad, tag=bad)])
        for row in csv.DictReader(io.StringIO(text, newline="")):
            assert row["device"] == f"'{bad.strip()}"
            assert row["tag"] == f"'{bad.strip()}"


def test_csv_keeps_negative_numbers():
    record = make_record()
    negative = Metric(name="x", value=-1.5, unit="1", aggregation="single")
    text = csv_report([record.model_copy(update={"metrics": [negative]})])
    assert next(csv.DictReader(io.StringIO(text)))["value"] == "-1.5"


def test_markdown_is_a_table():
    text = markdown_report([make_record(), make_record("float32", emulated=True, device="qemu")])
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1
    assert "535 µs" in text
    assert "**Emulated devices" in text
    assert "did not run: RESHAPE" in text


def test_markdown_says_what_can_be_believed():
    record = make_record()
    place = headline_configuration(record)
    text = markdown_report([judged(record, place)])
    assert "535 µs (530 to 546 µs)" in text
    assert "unstable (drifting; quick)" in text
    assert f"- **int8 · pi4**: unstable because {WHY}" in text
    assert "Energy is unavailable: no power sensor" in text
    assert "| energy |" in markdown_report([make_full_record()])


def test_json_holds_the_comparison():
    comparison = compare(
        make_record(tag="base"), make_record(minutes=5), [parse_gate("max", "latency_p90=+5%")]
    )
    value = json.loads(json_report([make_record()], (), [comparison]))["comparisons"][0]
    assert value["passed"] is True
    gated = [change for change in value["changes"] if change["gates"]]
    assert [change["metric"] for change in gated] == ["latency_p90"]
    assert gated[0]["gates"][0]["status"] == "passed"
    assert gated[0]["configuration"]["threads"] == 4


def test_markdown_texts_are_escaped():
    text = markdown_report([make_record(device="a|b <script>\n# x")])
    assert "a\\|b \\<script\\> \\# x" in text
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert escape("`*_[]!~") == "\\`\\*\\_\\[\\]\\!\\~"


def test_markdown_of_builds_alone():
    assert "| int8 | 35.4 KiB | 74.4 KiB |" in markdown_report([], [make_build("int8")])
