"""Operators and models under the roof: rates, what limits them, how far off they are."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from edgepack.toolchain.analyze.roofline import analyze_profile, top_operators
from edgepack.toolchain.results.profile_record import Profile, Roofline

KIB = 1024
ROOF = Roofline.model_validate(
    {
        "measured_unix_ns": 1,
        "peaks": [
            {"dtype": "int8", "threads": 1, "macs_per_s": 40e9, "workload": "x"},
            {"dtype": "float32", "threads": 1, "macs_per_s": 20e9, "workload": "x"},
        ],
        "bandwidths": [
            {"working_set_bytes": 64 * KIB, "threads": 1, "bytes_per_s": 50e9},
            {"working_set_bytes": 64 * KIB * KIB, "threads": 1, "bytes_per_s": 5e9},
        ],
    }
)


@dataclass(frozen=True)
class Piece:
    index: int | None
    name: str
    time_ns: float
    error_ns: float = 0.0


@dataclass(frozen=True)
class Timed:
    operators: list[Any]
    threads: int = 1
    plain_ns: float | None = None
    total_ns: float = field(default=0.0)


@pytest.fixture
def graph(draft):
    """A convolution that computes much on few bytes, a large matrix for one row, and an addition."""
    x = draft.add((1, 32, 32, 16), "int8")
    kernel = draft.add((16, 3, 3, 16), "int8", constant=True)
    y = draft.add((1, 32, 32, 16), "int8")
    matrix = draft.add((100, 16384), "int8", constant=True)
    z = draft.add((1, 100), "int8")
    total = draft.add((1, 100), "int8")
    draft.op("CONV_2D", [x, kernel], [y]).op("FULLY_CONNECTED", [y, matrix], [z]).op("ADD", [z, z], [total])
    return draft.graph([x], [total])


CONV_MACS, CONV_BYTES = 32 * 32 * 16 * 9 * 16, 2 * 16 * KIB + 16 * 9 * 16
DENSE_MACS, DENSE_BYTES = 1638400, 1638400 + 16384 + 100


def profile(conv_ns=100_000.0, dense_ns=400_000.0, add_ns=50.0, **changes):
    pieces = [Piece(0, "CONV_2D", conv_ns), Piece(1, "FULLY_CONNECTED", dense_ns), Piece(2, "ADD", add_ns)]
    return Timed(pieces, **changes)


def test_a_convolution_is_compute_bound(graph):
    point = analyze_profile(graph, profile(), ROOF).operators[0]
    assert (point.macs, point.moved_bytes) == (CONV_MACS, CONV_BYTES)
    assert point.intensity == pytest.approx(CONV_MACS / CONV_BYTES)
    assert point.macs_per_s == pytest.approx(CONV_MACS / 100e-6)
    assert (point.bound, point.attainable_macs_per_s) == ("compute", 40e9)
    assert point.roof_share == pytest.approx(CONV_MACS / 100e-6 / 40e9)


def test_a_matrix_read_once_is_memory_bound(graph):
    point = analyze_profile(graph, profile(), ROOF).operators[1]
    assert (point.macs, point.moved_bytes) == (DENSE_MACS, DENSE_BYTES)
    assert point.bound == "memory"
    assert point.attainable_macs_per_s == pytest.approx(5e9 * DENSE_MACS / DENSE_BYTES)
    assert point.roof_share == pytest.approx(DENSE_BYTES / 400e-6 / 5e9)


def test_no_macs_no_rate(graph):
    point = analyze_profile(graph, profile(), ROOF).operators[2]
    assert point.macs == 0
    assert point.macs_per_s is None
    assert point.attainable_macs_per_s is None
    assert point.intensity is None
    assert point.bound == "memory"
    assert point.roof_share == pytest.approx(200 / 50e-9 / 50e9), "read as one tensor, written as another"


def test_a_time_within_its_error_has_no_rates(graph):
    timed = Timed([Piece(0, "CONV_2D", 900.0, error_ns=1000.0), Piece(1, "X", 1.0), Piece(2, "X", -1.0, 5.0)])
    first, _, last = analyze_profile(graph, timed, ROOF).operators
    assert (first.macs_per_s, first.roof_share) == (None, None)
    assert first.attainable_macs_per_s == 40e9
    assert (last.time_ns, last.roof_share) == (-1.0, None)


def test_the_model_is_placed_by_its_plain_latency(graph):
    found = analyze_profile(graph, profile(plain_ns=600_000.0), ROOF)
    assert found.model.time_ns == 600_000.0
    assert found.model.macs == CONV_MACS + DENSE_MACS
    assert found.model.macs_per_s == pytest.approx(found.model.macs / 600e-6)
    assert found.model.dtype == "int8"
    # Weights are far more than the cache of 64 KiB holds.
    assert found.model.working_set_bytes > 1638400
    assert found.model.bound == "memory"


def test_shares_add_up_and_the_most_expensive_come_first(graph):
    found = analyze_profile(graph, profile(), ROOF)
    assert sum(point.share for point in found.operators) == pytest.approx(1.0)
    assert [point.index for point in top_operators(found, 2)] == [1, 0]


def test_no_roof_leaves_the_rates(graph):
    found = analyze_profile(graph, profile(), None)
    assert found.roof is None
    assert found.operators[0].macs_per_s == pytest.approx(CONV_MACS / 100e-6)
    assert found.operators[0].bound is None
    assert found.operators[0].roof_share is None


def test_other_types_have_no_roof(draft):
    x = draft.add((1, 8), "int16")
    weights = draft.add((4, 8), "int8", constant=True)
    y = draft.add((1, 4), "int16")
    graph = draft.op("FULLY_CONNECTED", [x, weights], [y]).graph([x], [y])
    (point,) = analyze_profile(graph, Timed([Piece(0, "FULLY_CONNECTED", 100.0)]), ROOF).operators
    assert point.dtype is None
    assert point.macs_per_s == pytest.approx(32 / 100e-9)
    assert point.attainable_macs_per_s is None


def test_it_takes_what_the_device_writes(graph):
    written = Profile.model_validate(
        json.loads(
            '{"method": "runtime", "threads": 1, "total_ns": 5.0, "plain_ns": 6.0, "note": null, '
            '"operators": [{"index": null, "partition": 0, "name": "Convolution (NHWC, QC8) IGEMM", '
            '"time_ns": 3.0, "error_ns": 1.0, "samples": 9}, '
            '{"index": 1, "partition": null, "name": "FULLY_CONNECTED", '
            '"time_ns": 2.0, "error_ns": 0.5, "samples": 9}]}'
        )
    )
    found = analyze_profile(graph, written, ROOF)
    assert found.operators[0].kernels == ("Convolution (NHWC, QC8) IGEMM",)
    assert found.operators[2].time_ns is None
    assert found.operators[2].share is None
