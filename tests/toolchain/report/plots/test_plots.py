"""Each plot shows what the record holds, says it in words, and stays small."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgepack.converters.tflite.reader import read_graph
from edgepack.toolchain.report.operators import operator_table
from edgepack.toolchain.report.plots.changes import changes_plot
from edgepack.toolchain.report.plots.distribution import latency_plots
from edgepack.toolchain.report.plots.power import power_plot
from edgepack.toolchain.report.plots.roofline import roofline_plot
from edgepack.toolchain.report.plots.throughput import throughput_plots
from edgepack.toolchain.report.plots.windows import windows_plot
from edgepack.toolchain.report.view import group_models
from edgepack.toolchain.results.compare import compare
from edgepack.toolchain.results.gates import parse_gate
from tests.toolchain.records import latencies, make_configuration, make_record, make_window
from tests.toolchain.report.throttled import PROFILE, make_full_record

MODEL = Path(__file__).parents[4].parent / "shared" / "models" / "kws_ref_model.tflite"
MAX_PLOT_BYTES = 150_000


@pytest.fixture(scope="module")
def group():
    return group_models([make_full_record()])[0]


def texts(plot):
    return re.findall(r"<text[^>]*>([^<]+)</text>|<tspan[^>]*>([^<]+)</tspan>", plot.svg)


def words(plot):
    return {a or b for a, b in texts(plot)}


def test_windows_are_numbered_and_rejected_ones_crossed(group):
    row = group.rows[0]
    plot = windows_plot(row, group, row.record.configurations[0])
    shown = words(plot)
    assert {"1", "2", "3", "4", "5", "x", "latency", "clock", "seconds since the first window"} <= shown
    assert "6" not in shown
    assert "5 windows count; 1 do not" in plot.description
    assert "batch 1, 4 threads" in plot.title
    assert "cpu-thermal" in plot.svg


def test_windows_without_states_have_latency_alone(group):
    row = group_models([make_record(configurations=[bare()])])[0].rows[0]
    plot = windows_plot(row, group, row.record.configurations[0])
    assert "clock" not in words(plot)
    assert "cpu-thermal" not in plot.svg


def bare():
    made = make_configuration(1, 1)
    for window in made["windows"]:
        window["states"] = []
    return made


def test_a_window_of_one_sample():
    made = make_configuration(1, 1)
    made["windows"] = [make_window([1000])]
    group = group_models([make_record(configurations=[made])])[0]
    assert "<svg" in windows_plot(group.rows[0], group, group.rows[0].record.configurations[0]).svg
    assert "<svg" in latency_plots(group, 1)[0][0].svg


def test_power_has_its_idle_level_and_the_windows(group):
    row = group.rows[0]
    plot = power_plot(row, group, row.record.configurations[0])
    assert {"idle 2 W", "power", "1", "x"} <= words(plot)
    assert "5 W on average while inferring, 2 W idle" in plot.description
    unmeasured = group_models([make_record()])[0]
    assert power_plot(unmeasured.rows[0], unmeasured, unmeasured.rows[0].record.configurations[0]) is None


def test_distribution_says_the_intervals(group):
    plot = latency_plots(group, 1)[0][0]
    assert re.search(r"p50 \d+ µs \(\d+ to \d+ µs\), p90 \d+ µs \(", plot.description)
    assert "latency of one invocation" in words(plot)


def test_the_knee_is_marked_and_said():
    group = group_models([make_record()])[0]
    plots, left_out = throughput_plots(group, 5)
    assert left_out == 0
    assert throughput_plots(group, 0) == ([], 1)
    assert "knee" in words(plots[0])
    assert "knee" in plots[0].caption
    assert {"batch", "inferences/s", "1 thr", "2 thr", "4 thr"} <= words(plots[0])


def test_roofline_has_roofs_operators_and_the_model():
    if not MODEL.is_file():
        pytest.skip("the MLPerf Tiny models are not here")
    graph = read_graph(MODEL)
    operators = [
        {"index": op.index, "name": op.op, "time_ns": 40_000.0 + op.index, "error_ns": 900.0, "samples": 9}
        for op in graph.operators
    ]
    record = make_full_record(profile={**PROFILE, "method": "runtime", "operators": operators})
    group = group_models([record])[0]
    table = operator_table(record, graph)
    plot = roofline_plot(group.rows[0], group, table)
    shown = words(plot)
    assert {"model", "int8 peak 96 GMAC/s", "1", "achieved"} <= shown
    assert any(text.startswith("memory ") for text in shown)
    assert table.columns[-4:] == ("MACs", "achieved", "bound by", "of the roof")
    conv = next(row for row in table.rows if "CONV" in row[0].text)
    assert conv[4].text.endswith("MAC/s")
    assert conv[5].text in ("compute", "memory")
    assert "of its roof" in plot.description


def test_without_a_roof_there_is_a_reason():
    if not MODEL.is_file():
        pytest.skip("the MLPerf Tiny models are not here")
    record = make_full_record(roofline={"unavailable": "not asked for"})
    table = operator_table(record, read_graph(MODEL))
    group = group_models([record])[0]
    assert roofline_plot(group.rows[0], group, table) is None
    assert table.rows[0][5].reason == "not asked for"


def test_changes_have_intervals_and_limits():
    base = make_record()
    gates = [parse_gate("max", "latency_p90=+5%")]
    found = compare(base, make_record(minutes=1), gates)
    plot = changes_plot([c for c in found.changes if c.name == "latency" and c.gates], "x")
    assert "latency p90" in words(plot)
    assert "change against the baseline" in words(plot)
    assert changes_plot([], "x") is None


def test_a_figure_read_once_does_not_set_the_scale():
    found = compare(make_record(), make_record(minutes=1))
    untested = [change for change in found.changes if change.finding == "untested"]
    assert untested
    assert changes_plot(untested, "x") is None


def test_plots_stay_small_whatever_a_window_holds():
    made = make_configuration(1, 1, windows=5)
    for number, window in enumerate(made["windows"]):
        window["samples_ns"] = latencies(1, 1, count=50_000, seed=number)
    group = group_models([make_record(configurations=[made])])[0]
    row = group.rows[0]
    for plot in (latency_plots(group, 1)[0][0], windows_plot(row, group, row.record.configurations[0])):
        assert len(plot.svg) < MAX_PLOT_BYTES
