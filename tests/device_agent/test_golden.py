"""Comparing outputs: where a difference is seen, and where it is not one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgepack.device_agent.golden import max_error, top1_agrees

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("actual", "expected", "error"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.5),
        ([NAN, 1.0], [NAN, 1.0], 0.0),
        ([NAN, 1.0], [0.0, 1.0], INF),
        ([0.0, 1.0], [NAN, 1.0], INF),
        ([INF, 1.0], [INF, 1.0], 0.0),
        ([INF, 1.0], [-INF, 1.0], INF),
        ([], [], 0.0),
    ],
)
def test_max_error(actual: list[float], expected: list[float], error: float) -> None:
    assert max_error(np.array(actual, np.float32), np.array(expected, np.float32)) == error


def test_int8_differences_do_not_wrap_around() -> None:
    assert max_error(np.array([-128], np.int8), np.array([127], np.int8)) == 255


def test_another_shape_is_an_infinite_error() -> None:
    assert max_error(np.zeros((1, 3)), np.zeros((3, 1))) == INF


@given(hnp.arrays(np.int8, (2, 5)), hnp.arrays(np.int8, (2, 5)))
def test_max_error_is_symmetric_and_zero_only_for_equals(one: np.ndarray, other: np.ndarray) -> None:
    assert max_error(one, other) == max_error(other, one)
    assert (max_error(one, other) == 0) == bool((one == other).all())


@given(hnp.arrays(np.int16, st.tuples(st.integers(1, 3), st.integers(1, 6))))
def test_top1_agrees_with_itself(scores: np.ndarray) -> None:
    assert top1_agrees(scores, scores)


def test_top1() -> None:
    expected = np.array([[0, 3, 1], [5, 0, 0]])
    assert top1_agrees(np.array([[0, 9, 1], [2, 0, 1]]), expected)
    assert not top1_agrees(np.array([[0, 9, 1], [2, 0, 3]]), expected), "one row is not enough"
    assert top1_agrees(np.array([[9, 9, 1], [2, 2, 0]]), expected), "a tie is no disagreement"
    assert top1_agrees(np.array([1, 2]), np.array([0, 1])), "an output without a batch"
