from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.toolchain.measure.student import t_quantile, two_sided_p


@pytest.mark.parametrize(  # NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2
    ("degrees", "factor"),
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (30, 2.042), (100, 1.984)],
)
def test_the_printed_table(degrees, factor):
    assert t_quantile(degrees) == pytest.approx(factor, abs=0.001)


def test_99_per_cent():
    assert t_quantile(4, 0.99) == pytest.approx(4.604, abs=0.001)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 30])
def test_against_scipy(degrees):
    special = pytest.importorskip("scipy.special", reason="the oracle is SciPy")
    for t in (0.0, 0.1, 1.0, 2.5, 10.0, 50.0):
        assert two_sided_p(t, degrees) == pytest.approx(2 * special.stdtr(degrees, -t), abs=1e-12)


@given(st.floats(0, 50), st.integers(1, 60))
def test_it_is_symmetric_and_falls(t, degrees):
    assert two_sided_p(-t, degrees) == two_sided_p(t, degrees)
    assert two_sided_p(t + 1, degrees) <= two_sided_p(t, degrees) + 1e-12 <= 1 + 1e-12


def test_the_ends():
    assert two_sided_p(0.0, 3) == 1
    assert two_sided_p(math.inf, 3) == 0
