"""Latencies of devices with known properties, to see how often a method is right about them."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

SPREAD = 0.03
MEDIAN_NS = 1e6


def windows(
    generator: np.random.Generator,
    *,
    count: int = 5,
    samples: int = 400,
    correlation: float = 0.0,
    between: float = 0.0,
) -> list[np.ndarray]:
    """Log-normal latencies around 1 ms.

    Args:
        correlation: Of neighbouring samples: an AR(1) process with unchanged spread.
        between: Standard deviation of the logarithm of each window's own level.
    """
    return [
        MEDIAN_NS
        * np.exp(
            SPREAD * _correlated(generator, samples, correlation) + between * generator.standard_normal()
        )
        for _ in range(count)
    ]


def true_percentile_ns(percentile: int) -> float:
    """The percentile of an ordinary window."""
    return MEDIAN_NS * float(np.exp(SPREAD * NormalDist().inv_cdf(percentile / 100)))


def right_skewed(generator: np.random.Generator, samples: int = 400) -> np.ndarray:
    """What an idle device gives: nothing is faster than the model allows, some runs are slower."""
    return MEDIAN_NS * (1 + generator.gamma(1.5, 0.01, samples))


def _correlated(generator: np.random.Generator, samples: int, correlation: float) -> np.ndarray:
    noise = generator.standard_normal(samples)
    if not correlation:
        return noise
    made = np.empty(samples)
    made[0] = noise[0]
    for index in range(1, samples):
        made[index] = correlation * made[index - 1] + np.sqrt(1 - correlation**2) * noise[index]
    return made
