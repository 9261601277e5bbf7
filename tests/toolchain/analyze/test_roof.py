"""The roof from measurements that were disturbed, for any number of threads."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.toolchain.analyze.roof import roof_of


@dataclass(frozen=True)
class Peak:
    dtype: str
    threads: int
    macs_per_s: float


@dataclass(frozen=True)
class Bandwidth:
    working_set_bytes: int
    threads: int
    bytes_per_s: float


@dataclass(frozen=True)
class Measured:
    peaks: list[Peak] = field(default_factory=list)
    bandwidths: list[Bandwidth] = field(default_factory=list)


MEASURED = Measured(
    [Peak("int8", 1, 40e9), Peak("int8", 4, 120e9), Peak("float32", 1, 20e9), Peak("float32", 4, 18e9)],
    [
        Bandwidth(1024, 1, 30e9),
        Bandwidth(65536, 1, 50e9),
        Bandwidth(1 << 20, 1, 10e9),
        Bandwidth(1 << 20, 4, 25e9),
    ],
)


def test_more_threads_are_never_slower_and_fewer_never_count_the_more():
    assert roof_of(MEASURED, 1).peaks == {"int8": 40e9, "float32": 20e9}
    assert roof_of(MEASURED, 2).peaks == {"int8": 40e9, "float32": 20e9}
    assert roof_of(MEASURED, 4).peaks == {"int8": 120e9, "float32": 20e9}


def test_a_smaller_working_set_has_at_least_the_bandwidth_of_a_larger_one():
    roof = roof_of(MEASURED, 1)
    assert roof.bandwidth(100) == 50e9, "the measurement of 1 KiB was mostly the call"
    assert roof.bandwidth(65536) == 50e9
    assert roof.bandwidth(65537) == 10e9
    assert roof.bandwidth(1 << 40) == 10e9, "beyond the largest: memory"
    assert roof_of(MEASURED, 4).bandwidth(1 << 20) == 25e9


def test_attainable_is_the_lower_of_both():
    roof = roof_of(MEASURED, 1)
    assert roof.attainable("int8", 0.5, 65536) == 25e9
    assert roof.attainable("int8", 100.0, 65536) == 40e9
    assert roof.attainable("float16", 1.0, 65536) is None


def test_the_line_to_plot_has_its_ridge_where_both_meet():
    (low, ridge, end) = roof_of(MEASURED, 1).line("int8", 1 << 20, up_to=100.0)
    assert ridge == (4.0, 40e9)
    assert low[1] / low[0] == pytest.approx(10e9)
    assert end == (100.0, 40e9)
    assert roof_of(MEASURED, 1).line("int8", 1 << 20, up_to=1.0)[2] == (8.0, 40e9)


@given(
    st.lists(
        st.tuples(st.integers(1, 1 << 30), st.sampled_from((1, 2, 4)), st.floats(1e6, 1e12)),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 8),
    st.integers(1, 1 << 31),
    st.integers(1, 1 << 31),
)
def test_bandwidth_never_grows_with_the_working_set(entries, threads, one, other):
    roof = roof_of(Measured([], [Bandwidth(*entry) for entry in entries]), threads)
    assert roof.bandwidth(min(one, other)) >= roof.bandwidth(max(one, other)) > 0
