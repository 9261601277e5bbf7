"""The estimate of an inference's energy: counts times published figures, and always called an estimate."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from edgepack.toolchain.analyze.computing_dtype import computing_dtype
from edgepack.toolchain.analyze.cost import analyze
from edgepack.toolchain.analyze.energy_estimate import estimate_energy


def dense(draft, data="int8", weights="int8"):
    """100 x 1000 weights: 100,000 MACs."""
    x, w, y = (
        draft.add((1, 1000), data),
        draft.add((100, 1000), weights, constant=True),
        draft.add((1, 100), data),
    )
    return draft.op("FULLY_CONNECTED", [x, w], [y]).graph([x], [y])


# Horowitz: 8-bit multiplication 0.2 pJ and 32-bit addition 0.1 pJ; float 3.7 and 0.9.
@pytest.mark.parametrize(
    ("data", "weights", "mac_pj"),
    [("int8", "int8", 0.3), ("float32", "float32", 4.6), ("float32", "int8", 0.3)],
)
def test_arithmetic(draft, data, weights, mac_pj):
    graph = dense(draft, data, weights)
    found = estimate_energy(graph, analyze(graph)).arithmetic
    assert found.low_j == found.high_j == pytest.approx(100_000 * mac_pj * 1e-12)


def test_a_type_without_a_figure_is_a_range(draft):
    graph = dense(draft, "int16", "int8")
    assert computing_dtype(graph, graph.operators[0]) is None
    found = estimate_energy(graph, analyze(graph)).arithmetic
    assert found.low_j < found.high_j


def test_memory_is_a_range_from_cache_to_dram(draft):
    graph = dense(draft)
    found = estimate_energy(graph, analyze(graph))
    moved = 100_000 + 1000 + 100
    assert found.memory.low_j == pytest.approx(moved * 10e-12 / 8)
    assert found.memory.high_j == pytest.approx(moved * 2.6e-9 / 8)
    assert found.total.low_j == pytest.approx(found.arithmetic.low_j + found.memory.low_j)
    assert found.total.high_j == pytest.approx(found.arithmetic.high_j + found.memory.high_j)


def test_it_says_what_it_is(draft):
    graph = dense(draft)
    told = asdict(estimate_energy(graph, analyze(graph)))
    assert told["kind"] == "estimate"
    assert "45 nm" in told["basis"] and "Horowitz" in told["basis"] and "unknown" in told["basis"]
    assert "leakage" in told["left_out"]
