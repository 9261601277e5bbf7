"""The ten most expensive operators in the terminal."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import pytest
from rich.console import Console

from edgepack.converters.tflite.reader import read_graph
from edgepack.toolchain.report.profile_tables import profile_table
from edgepack.toolchain.results.profile_record import Profile, Roofline
from edgepack.toolchain.results.window_record import Unavailable
from tests.device_agent.profile_models import chain_model

GEMM = "Fully Connected (NC, F32) GEMM"


@pytest.fixture(scope="module")
def graph():
    return read_graph(chain_model(64, [256, 256, 256]))


def piece(name, time_ns, index=None, **changes):
    about = {"index": index, "partition": None if index is not None else 0, "name": name, "time_ns": time_ns}
    return {**about, "error_ns": 500.0, "samples": 100, **changes}


def record(roofline=None, **changes):
    value = {
        **{"method": "runtime", "threads": 1, "total_ns": 301_000.0, "plain_ns": 310_000.0, "note": None},
        "operators": [piece(GEMM, 200_000.0), piece(GEMM, 100_000.0), piece("SOFTMAX", 1000.0, 2)],
        **changes,
    }
    roof = {
        "measured_unix_ns": 1,
        "peaks": [{"dtype": "float32", "threads": 1, "macs_per_s": 84e9, "workload": "x"}],
        "bandwidths": [{"working_set_bytes": 1 << 26, "threads": 1, "bytes_per_s": 9e9}],
    }
    profile = Profile.model_validate(json.loads(json.dumps(value)))
    return SimpleNamespace(profile=profile, roofline=roofline or Roofline.model_validate(roof))


def shown(found, graph):
    console = Console(file=io.StringIO(), width=200, force_terminal=False)
    console.print(profile_table(found, graph))
    return console.file.getvalue()


def test_a_row_an_operator_the_most_expensive_first(graph):
    lines = shown(record(), graph).splitlines()
    first, second, third, model = lines[1:5]
    # 64 x 256 x 256 = 4.19 M MACs in 200 µs are 21 GMAC/s, a quarter of 84.
    assert first.split()[:2] == ["0", "FULLY_CONNECTED"]
    for text in ("Fully Connected", "200 µs ± 500 ns", "66.4%", "4.19 M", "21 GMAC/s", "compute", "25.0%"):
        assert text in first
    assert second.split()[0] == "1" and "41.9 GMAC/s" in second and "49.9%" in second
    assert third.split()[:2] == ["2", "SOFTMAX"]
    assert "MAC/s" not in third, "an operator without MACs has no rate"
    assert model.split()[0] == "model" and "310 µs" in model and "8.39 M" in model


def test_how_it_was_measured_is_said(graph):
    text = shown(record(), graph)
    assert "timed by the runtime itself, 1 thread" in text
    assert "-2.9% to the latency without profiling" in text
    assert "roof of this device, measured: float32 84 GMAC/s" in text
    derived = shown(record(method="truncated", note="Cuts cannot be fused across."), graph)
    assert "derived from models cut off" in derived and "Cuts cannot be fused across." in derived


def test_what_has_no_time_of_its_own_is_named(graph):
    text = shown(record(operators=[piece(GEMM, 200.0), piece(GEMM, 100.0), piece("Odd (NC)", 7.0)]), graph)
    assert "fused into a neighbour, or removed by the runtime: 2 SOFTMAX" in text
    assert "7 ns in kernels that belong to no one operator: Odd (NC)" in text


def test_what_is_missing_has_its_reason(graph):
    text = shown(record(roofline=Unavailable(unavailable="no memory for it")), graph)
    assert "roof: unavailable: no memory for it" in text
    nothing = SimpleNamespace(profile=Unavailable(unavailable="it cannot be cut"), roofline=None)
    assert shown(nothing, graph).strip() == "profile: unavailable: it cannot be cut"
    never = SimpleNamespace(profile=None, roofline=None)
    assert "edgepack bench --profile" in shown(never, graph)
