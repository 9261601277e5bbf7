from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.toolchain.measure.modes import dip, find_two_modes
from tests.toolchain.measure.noise import right_skewed

distinct = st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), min_size=1, max_size=60, unique=True)


@given(distinct)
def test_the_dip_has_known_bounds_and_ignores_scale_and_sign(values):
    samples = np.sort(np.asarray(values))
    found = dip(samples)
    assert 1 / (2 * samples.size) - 1e-12 <= found <= 0.25 + 1e-12 or samples.size == 1
    assert dip(samples * 7 + 3) == pytest.approx(found, abs=1e-9)
    assert dip(np.sort(-samples)) == pytest.approx(found, abs=1e-9)


def test_known_dips():
    assert dip(np.arange(10.0)) == pytest.approx(1 / 20)
    two = np.concatenate([np.linspace(0, 1e-6, 500), np.linspace(1, 1 + 1e-6, 500)])
    assert dip(two) == pytest.approx(0.25, abs=0.01)


def test_the_dip_is_the_distance_to_the_nearest_distribution_with_one_mode():
    """The definition itself, solved as a linear program for every place of the mode."""
    optimize = pytest.importorskip("scipy.optimize", reason="the oracle is SciPy's linear programming")
    generator = np.random.default_rng(0)
    for index in range(24):
        n = int(generator.integers(3, 16))
        half = n // 2
        kinds = (
            generator.normal(size=n),
            generator.exponential(size=n),
            np.concatenate([generator.normal(size=half), generator.normal(4, 1, n - half)]),
        )
        samples = np.sort(kinds[index % 3])
        expected = max(1 / (2 * n), min(_distance(optimize, samples, mode) for mode in range(n)))
        assert dip(samples) == pytest.approx(expected, abs=1e-6)


def _distance(optimize, x, mode):
    """Smallest d: G convex up to x[mode], concave from there, within d of the samples' step function."""
    n = x.size
    left, right = mode + 1, n - mode  # G at x[0..mode] from the left, and at x[mode..] from the right
    rows, limits = [], []

    def at_most(limit, **terms):
        row = np.zeros(left + right + 1)
        for key, factor in terms.items():
            row[-1 if key == "d" else int(key[1:])] += factor
        rows.append(row)
        limits.append(limit)

    for column in range(left + right):
        point = column if column < left else mode + column - left
        steps = [point / n, (point + 1) / n]
        if point == mode:  # the jump at the mode is free
            steps = steps[:1] if column < left else steps[1:]
        for step in steps:
            at_most(step, **{f"g{column}": 1, "d": -1})
            at_most(-step, **{f"g{column}": -1, "d": -1})
        if column:
            at_most(0, **{f"g{column - 1}": 1, f"g{column}": -1})
    for column in range(1, left + right - 1):
        if column in (left - 1, left):
            continue
        point, sign = (column, 1) if column < left else (mode + column - left, -1)
        before, after = 1 / (x[point] - x[point - 1]), 1 / (x[point + 1] - x[point])
        terms = {f"g{column - 1}": -before, f"g{column}": before + after, f"g{column + 1}": -after}
        at_most(0, **{key: sign * factor for key, factor in terms.items()})
    cost = np.zeros(left + right + 1)
    cost[-1] = 1
    return optimize.linprog(cost, A_ub=np.array(rows), b_ub=limits, bounds=(0, 1)).fun


def one_mode(kind, generator, samples):
    match kind:
        case "right-skewed":
            return right_skewed(generator, samples)
        case "log-normal":
            return 1e6 * np.exp(0.5 * generator.standard_normal(samples))
        case "exponential":
            return 1e6 * (1 + 0.1 * generator.exponential(size=samples))
        case "outliers":
            return right_skewed(generator, samples) + 5e5 * (generator.random(samples) < 0.05)
        case "coarse clock":
            return np.round(right_skewed(generator, samples) / 18_000) * 18_000
    raise AssertionError(kind)


KINDS = ["right-skewed", "log-normal", "exponential", "outliers", "coarse clock"]


@pytest.mark.parametrize("samples", [20, 200, 2000])
@pytest.mark.parametrize("kind", KINDS)
def test_one_mode_is_never_taken_for_two(kind, samples):
    generator = np.random.default_rng(9)
    for _ in range(30):
        assert find_two_modes([one_mode(kind, generator, samples) for _ in range(5)]) is None


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_two_groups_are_found_and_described(share):
    generator = np.random.default_rng(10)
    for _ in range(10):
        made = [right_skewed(generator) * (1 + 0.2 * (generator.random(400) < share)) for _ in range(5)]
        modes = find_two_modes(made)
        assert modes.low_ns == pytest.approx(1.012e6, rel=0.01)
        assert modes.high_ns == pytest.approx(1.012e6 * 1.2, rel=0.01)
        assert modes.high_share == pytest.approx(share, abs=0.05)


def test_windows_on_two_levels_are_two_groups():
    generator = np.random.default_rng(11)
    made = [right_skewed(generator) * level for level in (1, 1, 1.3, 1, 1.3)]
    assert find_two_modes(made).high_share == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize(
    "made", [[np.zeros(10)], [np.array([5.0])], [np.array([1.0, 2.0])], [np.full(500, 7.0)] * 5]
)
def test_what_cannot_have_two_groups(made):
    assert find_two_modes(made) is None
