"""Whether two measurements differ: a test that suits the metric, and the 95 % interval of the change.

Rules:
    * Values in, values out; no random numbers: the same two runs are always judged the same.
    * The unit of replication is the window, never the inference: inferences that follow each other share
      clock, temperature and neighbours, so thousands of them are not thousands of independent measurements.
    * Over windows, interval and p-value come from one test, so that they never contradict each other.
    * Where too little was measured to tell anything, the answer is None, never a guess.

What two runs of one package differ by beyond their windows (where memory came to lie, what the kernel did at
start) no single run can show; `docs/ci-gate.md` says what that means for a limit.

Sources:
    Mann, Whitney (1947), "On a Test of Whether one of Two Random Variables is Stochastically Larger than the
    Other"; Hodges, Lehmann (1963), "Estimates of Location Based on Rank Tests" (the interval);
    Hollander, Wolfe, Chicken (2013), "Nonparametric Statistical Methods", 4.1 to 4.3;
    McNemar (1947), "Note on the sampling error of the difference between correlated proportions";
    Bonett, Price (2012), "Adjusted Wald Confidence Interval for a Difference of Binomial Proportions Based on
    Paired Data"; Newcombe (1998), "Interval estimation for the difference between independent proportions",
    method 10.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

ALPHA = 0.05
_Z = 1.959964  # 97.5 % quantile of the normal distribution
_EXACT_UP_TO = 50  # units a side; beyond, the normal approximation is good to four digits
_BLOCKS = 10


@dataclass(frozen=True)
class Difference:
    """What a test says about NEW against BASE.

    Attributes:
        test: The test, in words.
        p_value: How often equals would differ as much.
        low: Lower end of the 95 % interval of the change.
        high: Upper end.
    """

    test: str
    p_value: float
    low: float
    high: float


@dataclass(frozen=True)
class Units:
    """The figures that are compared: one a unit of replication.

    Attributes:
        base: One figure a unit of BASE.
        new: One figure a unit of NEW.
        are: What a unit is, in words: "windows", or "blocks of 40 inferences".
    """

    base: tuple[float, ...]
    new: tuple[float, ...]
    are: str


def can_tell(base: int, new: int) -> bool:
    """Return whether so many units could show any difference: their smallest p-value is 5 % or less."""
    return base > 0 and new > 0 and 2 / math.comb(base + new, base) <= ALPHA


def sampled_units(
    base: Sequence[Sequence[int]],
    new: Sequence[Sequence[int]],
    figure: Callable[[NDArray[np.float64]], float],
    *,
    least: int,
) -> Units | None:
    """Return one figure a window; with too few windows, one a block of consecutive samples.

    Blocks know nothing of what changes from window to window, so they are sure of more than they should be.

    Args:
        base: Samples of each window of BASE.
        new: Samples of each window of NEW.
        figure: From samples, float64 [n], to the figure.
        least: Samples that the figure needs.
    """
    windows = [[np.asarray(w, dtype=np.float64) for w in side if len(w) >= least] for side in (base, new)]
    if can_tell(len(windows[0]), len(windows[1])):
        return Units(_each(windows[0], figure), _each(windows[1], figure), "windows")
    length = max(least, min(sum(map(len, side)) // _BLOCKS for side in windows))
    blocks = [[block for window in side for block in _cut(window, length)] for side in windows]
    if not can_tell(len(blocks[0]), len(blocks[1])):
        return None
    return Units(_each(blocks[0], figure), _each(blocks[1], figure), f"blocks of {length} inferences")


def rank_test(units: Units) -> Difference | None:
    """Test whether the figures of NEW lie higher or lower: Mann-Whitney's U, exact up to 50 units a side.

    Returns:
        The relative change's interval (new / base - 1) by inversion of the test (Hodges-Lehmann); None where
        so few units can tell nothing, or where a figure is not positive.
    """
    base, new = np.asarray(units.base), np.asarray(units.new)
    if not can_tell(base.size, new.size) or base.min() <= 0 or new.min() <= 0:
        return None
    ratios = np.sort(np.subtract.outer(np.log(new), np.log(base)).ravel())
    below, above = int((ratios < 0).sum()), int((ratios > 0).sum())
    ties = ratios.size - below - above
    tail = _tail(base.size, new.size)
    extreme = min(min(below, above) + ties, ratios.size // 2)  # a tie counts for "no difference"
    beyond = sum(1 for share in tail if share <= ALPHA / 2)  # so many pairs lie outside on each side
    return Difference(
        test=f"Mann-Whitney U over {base.size} and {new.size} {units.are}",
        p_value=min(1.0, 2 * tail[extreme]),
        low=math.expm1(ratios[beyond - 1]),
        high=math.expm1(ratios[ratios.size - beyond]),
    )


def paired_shares(lost: int, won: int, samples: int) -> Difference:
    """Test two shares of right answers to the same questions: McNemar's exact test.

    The interval is that of Bonett and Price.

    Args:
        lost: Samples that BASE has right and NEW wrong.
        won: Samples that NEW has right and BASE wrong.
        samples: All samples, at least one.

    Returns:
        The interval is that of the difference of the shares, new - base.
    """
    tail = _binomial_tail(min(lost, won), lost + won)
    lost_share, won_share = (lost + 1) / (samples + 2), (won + 1) / (samples + 2)
    middle = won_share - lost_share
    half = _Z * math.sqrt((lost_share + won_share - middle**2) / (samples + 2))
    low, high = max(-1.0, middle - half), min(1.0, middle + half)
    return Difference(f"McNemar's exact test over {samples} samples", min(1.0, 2 * tail), low, high)


def separate_shares(base: tuple[int, int], new: tuple[int, int]) -> Difference:
    """Test two shares whose samples cannot be paired: z-test, Newcombe's interval of the difference.

    On the same evaluation set this finds less than a paired test would.

    Args:
        base: Right answers and samples of BASE.
        new: Right answers and samples of NEW.
    """
    (base_hits, base_count), (new_hits, new_count) = base, new
    base_share, new_share = base_hits / base_count, new_hits / new_count
    difference = new_share - base_share
    (base_low, base_high), (new_low, new_high) = (
        _wilson(base_share, base_count),
        _wilson(new_share, new_count),
    )
    low = difference - math.hypot(new_share - new_low, base_high - base_share)
    high = difference + math.hypot(new_high - new_share, base_share - base_low)
    pooled = (base_hits + new_hits) / (base_count + new_count)
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / base_count + 1 / new_count))
    p_value = math.erfc(abs(difference) / deviation / math.sqrt(2)) if deviation else 1.0
    return Difference(f"two-proportion z-test over {base_count} and {new_count} samples", p_value, low, high)


def interval_test(
    base: tuple[float, float, float], new: tuple[float, float, float], *, relative: bool
) -> Difference | None:
    """Test two figures of which only 95 % intervals are known, taken as normal and independent.

    Args:
        base: Value, low and high of BASE.
        new: Value, low and high of NEW.
        relative: Whether the interval is that of new / base - 1, else of new - base.
    """
    deviation = math.hypot(base[2] - base[1], new[2] - new[1]) / (2 * _Z)
    if deviation <= 0 or (relative and base[0] <= 0):
        return None
    scale = base[0] if relative else 1.0
    change, half = (new[0] - base[0]) / scale, _Z * deviation / scale
    p_value = math.erfc(abs(new[0] - base[0]) / deviation / math.sqrt(2))
    return Difference("z-test of two 95 % intervals", p_value, change - half, change + half)


def _each(
    windows: Sequence[NDArray[np.float64]], figure: Callable[[NDArray[np.float64]], float]
) -> tuple[float, ...]:
    return tuple(figure(window) for window in windows)


def _cut(window: NDArray[np.float64], length: int) -> list[NDArray[np.float64]]:
    return [window[i : i + length] for i in range(0, len(window) - length + 1, length)]


@lru_cache(maxsize=64)
def _tail(base: int, new: int) -> tuple[float, ...]:
    """Return P(U <= u) for u from 0 to base * new / 2, where both sides are drawn from the same."""
    half = base * new // 2
    if max(base, new) > _EXACT_UP_TO:
        deviation = math.sqrt(base * new * (base + new + 1) / 12)
        middle = base * new / 2
        return tuple(
            math.erfc((middle - u - 0.5) / deviation / math.sqrt(2)) / 2 if u + 0.5 < middle else 0.5
            for u in range(half + 1)
        )
    # The number of orders with U = u is the coefficient of q^u in a Gaussian binomial coefficient.
    ways = [1] + [0] * half
    for i in range(1, base + 1):
        for u in range(half, new + i - 1, -1):  # times 1 - q^(new + i)
            ways[u] -= ways[u - new - i]
        for u in range(i, half + 1):  # over 1 - q^i
            ways[u] += ways[u - i]
    total = math.comb(base + new, base)
    return tuple(count / total for count in accumulate(ways))


def _binomial_tail(successes: int, trials: int) -> float:
    """Return P(X <= successes) of fair coins; beyond 1000 coins by the normal approximation."""
    if trials > 1000:
        return math.erfc((trials / 2 - successes - 0.5) / math.sqrt(trials / 4) / math.sqrt(2)) / 2
    ways: int = sum(math.comb(trials, k) for k in range(successes + 1))
    return ways / (1 << trials)


def _wilson(share: float, count: int) -> tuple[float, float]:
    z2 = _Z * _Z
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)
