from __future__ import annotations

from edgepack.toolchain.report.view import (
    best_throughput,
    describe,
    device_rows,
    footnotes,
    group_models,
    headline_configuration,
    quality_cell,
    run_row,
)
from edgepack.toolchain.results.job_record import Configuration
from edgepack.toolchain.results.schema import Metric
from tests.toolchain.records import make_configuration, make_manifest, make_record


def test_headline_is_the_smallest_batch_with_the_best_threads():
    record = make_record()
    place = headline_configuration(record)
    assert place == Configuration(batch=1, threads=4)
    medians = {
        threads: record.value("latency", "p50", Configuration(batch=1, threads=threads))
        for threads in (1, 2, 4)
    }
    assert min(medians, key=medians.__getitem__) == place.threads


def test_best_throughput_is_the_largest_of_all_configurations():
    record = make_record()
    best = max(m.value for m in record.metrics if isinstance(m, Metric) and m.name == "throughput")
    cell = best_throughput(record)
    assert cell.text == f"{best / 1000:.2f} k/s"
    assert cell.detail == "batch 4, 4 threads"


def test_quality_without_a_device_figure_says_why():
    cell = quality_cell(make_record(evaluation={"unavailable": "not asked for"}))
    assert cell.text == "90.00 % → —"
    assert cell.reason == "not asked for"
    none = quality_cell(
        make_record(manifest=make_manifest(evaluation=False), evaluation={"unavailable": "not packed"})
    )
    assert (none.text, none.reason) == ("—", "not packed")


def test_rows_are_by_device_then_precision():
    records = [make_record(p, d) for d in ("b", "a") for p in ("auto", "int8", "float32")]
    group = group_models(records)[0]
    assert [(r.record.device.name, r.record.model.precision) for r in group.rows] == [
        (d, p) for d in ("a", "b") for p in ("float32", "int8", "auto")
    ]
    assert group.precisions == ("float32", "int8", "auto")
    assert group.devices == ("a", "b")


def test_one_footnote_a_reason():
    rows = [run_row(make_record(d, memory={"unavailable": "same"})) for d in ("int8", "float32")]
    assert footnotes(rows, ("peak memory",)) == {"same": 1}
    assert list(footnotes(rows).values()) == list(range(1, len(footnotes(rows)) + 1))


def test_tag_is_part_of_the_row():
    cell = run_row(make_record(tag="baseline")).cell("precision")
    assert (cell.text, cell.detail) == ("int8", "baseline")


def test_an_emulated_device_is_marked_in_every_label():
    row = run_row(make_record(emulated=True))
    assert row.label == "int8 · pi4 (emulated)"
    assert row.cell("device").text == "pi4 (emulated)"


def test_the_better_delegate_is_the_headline():
    slow = make_configuration(1, 2, scale=3.0)
    record = make_record(configurations=[slow, {**make_configuration(1, 2), "delegate": "none"}])
    assert headline_configuration(record) == Configuration(batch=1, threads=2, delegate="none")
    assert describe(headline_configuration(record)) == "batch 1, 2 threads, built-in kernels"


def test_latest_run_stands_for_the_device():
    rows = [run_row(make_record(minutes=m)) for m in (5, 1)]
    assert [record.time.minute for record in device_rows(rows)] == [20]
