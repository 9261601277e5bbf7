"""Student's t distribution for small whole numbers of degrees of freedom.

Few windows mean few degrees of freedom, where the normal distribution promises far too much: with five
windows the 95 % factor is 2.78, not 1.96.

Source: M. Abramowitz, I. A. Stegun, "Handbook of Mathematical Functions", 26.7.3 and 26.7.4.
"""

from __future__ import annotations

import math
from functools import lru_cache

_LARGEST_T = 1e9


def two_sided_p(t: float, degrees: int) -> float:
    """Return the probability that |T| is at least |t|.

    Args:
        t: The statistic; may be infinite.
        degrees: Degrees of freedom, at least 1.
    """
    if math.isinf(t):
        return 0.0
    angle = math.atan(abs(t) / math.sqrt(degrees))
    sine, cosine_squared = math.sin(angle), math.cos(angle) ** 2
    if degrees % 2:
        term, total = math.cos(angle), 0.0
        for step in range(1, degrees, 2):
            total += term
            term *= cosine_squared * (step + 1) / (step + 2)
        inside = 2 / math.pi * (angle + sine * total)
    else:
        term, total = 1.0, 0.0
        for step in range(0, degrees, 2):
            total += term
            term *= cosine_squared * (step + 1) / (step + 2)
        inside = sine * total
    return min(1.0, max(0.0, 1.0 - inside))


@lru_cache(maxsize=64)
def t_quantile(degrees: int, confidence: float = 0.95) -> float:
    """Return the factor k with P(|T| <= k) = confidence."""
    low, high = 0.0, _LARGEST_T
    for _ in range(200):
        middle = (low + high) / 2
        if two_sided_p(middle, degrees) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high
