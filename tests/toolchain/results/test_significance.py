"""The tests hold what they promise: exact p-values, intervals that cover, no certainty out of thin air."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.toolchain.results.significance import (
    Units,
    can_tell,
    interval_test,
    paired_shares,
    rank_test,
    sampled_units,
    separate_shares,
)

POSITIVE = st.floats(min_value=1.0, max_value=1e9, allow_nan=False)


def windows(base: list[float], new: list[float]) -> Units:
    return Units(tuple(base), tuple(new), "windows")


def enumerated_p_value(base: list[float], new: list[float]) -> float:
    """Two-sided p-value by trying every assignment of the values to the two sides."""

    def u(side: tuple[float, ...], other: list[float]) -> int:
        return sum(a > b for a in side for b in other)

    values = base + new
    observed = u(tuple(new), base)
    low = min(observed, len(base) * len(new) - observed)
    found = []
    for chosen in itertools.combinations(range(len(values)), len(new)):
        side = tuple(values[i] for i in chosen)
        found.append(u(side, [values[i] for i in range(len(values)) if i not in chosen]))
    return min(1.0, 2 * sum(value <= low for value in found) / len(found))


@pytest.mark.parametrize("sizes", [(5, 5), (4, 6), (3, 5), (7, 4)])
def test_the_rank_test_is_the_enumeration_of_all_orders(sizes: tuple[int, int]) -> None:
    generator = np.random.default_rng(sizes)
    for _ in range(5):
        base, new = ([float(x) for x in generator.uniform(1, 2, size)] for size in sizes)
        found = rank_test(windows(base, new))
        assert found is not None
        assert found.p_value == pytest.approx(enumerated_p_value(base, new))


def test_the_rank_test_agrees_with_scipy_on_many_units() -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is the second opinion here")
    generator = np.random.default_rng(3)
    base, new = generator.uniform(1, 2, 30), generator.uniform(1.1, 2.1, 41)
    for size in (41, 30, 12):
        found = rank_test(windows(list(base), list(new[:size])))
        expected = stats.mannwhitneyu(base, new[:size], method="exact").pvalue
        assert found is not None and found.p_value == pytest.approx(expected, rel=1e-9)
    many = generator.uniform(1, 2, 80)
    found = rank_test(windows(list(many), list(new)))
    expected = stats.mannwhitneyu(many, new, method="asymptotic").pvalue
    assert found is not None and found.p_value == pytest.approx(expected, rel=1e-6)


@given(st.lists(POSITIVE, min_size=4, max_size=9), st.lists(POSITIVE, min_size=4, max_size=9))
def test_interval_and_p_value_never_contradict_each_other(base: list[float], new: list[float]) -> None:
    found = rank_test(windows(base, new))
    assert found is not None
    assert found.low <= found.high
    assert (found.p_value <= 0.05) == (found.low > 0 or found.high < 0)


@given(st.lists(POSITIVE, min_size=5, max_size=5), st.lists(POSITIVE, min_size=5, max_size=5))
def test_the_ratio_of_the_median_windows_lies_in_the_interval(base: list[float], new: list[float]) -> None:
    found = rank_test(windows(base, new))
    assert found is not None
    ratio = float(np.median(new) / np.median(base)) - 1
    slack = 1e-9 * (1 + abs(ratio))
    assert found.low - slack <= ratio <= found.high + slack


@given(st.lists(POSITIVE, min_size=4, max_size=8))
def test_a_run_against_itself_shows_nothing(values: list[float]) -> None:
    found = rank_test(windows(values, values))
    assert found is not None and found.p_value > 0.5 and found.low <= 0 <= found.high


def test_five_windows_are_judged_right_as_often_as_they_promise() -> None:
    generator = np.random.default_rng(11)
    false_alarms = covered = 0
    rounds = 2000
    for _ in range(rounds):
        base, new = generator.lognormal(0, 0.02, 5), generator.lognormal(math.log(1.04), 0.02, 5)
        found = rank_test(windows(list(base), list(new)))
        assert found is not None
        covered += found.low <= 0.04 <= found.high
        null = rank_test(windows(list(base), list(generator.lognormal(0, 0.02, 5))))
        assert null is not None
        false_alarms += null.p_value <= 0.05
    assert covered / rounds > 0.94
    assert false_alarms / rounds < 0.06


def test_too_few_units_can_tell_nothing() -> None:
    assert can_tell(5, 5) and can_tell(4, 4) and can_tell(3, 5)
    assert not can_tell(3, 3) and not can_tell(1, 1) and not can_tell(0, 50)
    assert rank_test(windows([1.0, 2.0, 3.0], [11.0, 12.0, 13.0])) is None
    assert rank_test(windows([0.0] * 5, [1.0] * 5)) is None


def test_few_windows_are_cut_into_blocks() -> None:
    def median(samples: np.ndarray) -> float:
        return float(np.median(samples))

    one = sampled_units([range(1000, 1200)], [range(2000, 2400)], median, least=1)
    assert one is not None and one.are == "blocks of 20 inferences"
    assert len(one.base) == 10 and len(one.new) == 20
    assert one.base[0] == np.median(np.arange(1000, 1020))
    five = sampled_units([[1, 2]] * 5, [[1, 2]] * 5, median, least=1)
    assert five is not None and five.are == "windows" and five.base == (1.5,) * 5
    assert sampled_units([[1, 2, 3]], [[1, 2, 3]], median, least=10) is None
    assert sampled_units([], [[1, 2, 3]], median, least=1) is None


def test_mcnemar_is_the_binomial_test_of_the_samples_that_changed() -> None:
    assert paired_shares(0, 0, 100).p_value == 1.0
    # 2 * P(X <= 2), X ~ B(12, 1/2): (1 + 12 + 66) / 4096 * 2
    found = paired_shares(10, 2, 1000)
    assert found.p_value == pytest.approx(2 * 79 / 4096)
    assert found.low < -0.008 < found.high
    assert found.high < 0


@given(st.integers(1, 400), st.data())
def test_the_paired_interval_turns_round_with_the_sides(samples: int, data: st.DataObject) -> None:
    lost = data.draw(st.integers(0, samples))
    won = data.draw(st.integers(0, samples - lost))
    one, other = paired_shares(lost, won, samples), paired_shares(won, lost, samples)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert one.low - 1e-12 <= (won - lost) / (samples + 2) <= one.high + 1e-12


def test_newcombes_own_example() -> None:
    """Newcombe (1998), table II, example (a): 56/70 against 48/80; method 10 gives 0.0524 to 0.3339."""
    found = separate_shares((48, 80), (56, 70))
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert found.p_value < 0.05


def test_equal_shares_do_not_differ() -> None:
    assert separate_shares((10, 10), (10, 10)).p_value == 1.0
    found = separate_shares((90, 100), (90, 100))
    assert found.p_value == 1.0 and found.low < 0 < found.high


def test_two_intervals() -> None:
    found = interval_test((10.0, 9.0, 11.0), (12.0, 11.0, 13.0), relative=True)
    assert found is not None
    assert found.p_value == pytest.approx(0.00557, abs=1e-4)
    assert (found.low, found.high) == pytest.approx((0.2 - math.sqrt(2) / 10, 0.2 + math.sqrt(2) / 10))
    assert interval_test((10.0, 10.0, 10.0), (12.0, 12.0, 12.0), relative=True) is None
