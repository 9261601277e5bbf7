"""JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import json

from edgepack.toolchain.report.csv_report import CSV_COLUMNS, csv_report
from edgepack.toolchain.report.json_report import json_report
from edgepack.toolchain.report.markdown_report import escape, markdown_report
from edgepack.toolchain.results.schema import Metric, parse_run_record
from tests.toolchain.records import make_record
from tests.toolchain.report.builds import make_build


def test_json_holds_everything():
    records, builds = [make_record(), make_record("float32")], [make_build("auto")]
    value = json.loads(json_report(records, builds))
    assert value["schema_version"] == 1
    assert [parse_run_record(json.dumps(r), source="x") for r in value["records"]] == records
    assert value["builds"][0]["search"][0]["description"] == "float16"


def test_csv_has_a_row_a_metric():
    record = make_record()
    rows = list(csv.DictReader(io.StringIO(csv_report([record]))))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert len(rows) == len(record.metrics)
    for row, metric in zip(rows, record.metrics, strict=True):
        assert row["metric"] == metric.name
        if isinstance(metric, Metric):
            assert float(row["value"]) == metric.value
            assert row["reason"] == ""
        else:
            assert row["value"] == ""
            assert row["reason"]


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


def test_markdown_texts_are_escaped():
    text = markdown_report([make_record(device="a|b <script>\n# x")])
    assert "a\\|b \\<script\\> \\# x" in text
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert escape("`*_[]!~") == "\\`\\*\\_\\[\\]\\!\\~"


def test_markdown_of_builds_alone():
    assert "| int8 | 35.4 KiB | 74.4 KiB |" in markdown_report([], [make_build("int8")])
