"""The table behind TFLite's int16 LOGISTIC and TANH, and the functions of an LSTM's gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ONE_ABOVE = (
    4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41, 43, 44, 45,
    46, 49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255,
)  # fmt: skip
"""Where TFLite's table is one above the nearest number."""


def sigmoid_table() -> NDArray[np.int64]:
    """Return sigmoid(i / 24) in Q0.16 as TFLite has it, [256].

    Source: TFLite kernels/internal/common.h, sigmoid_table_uint16.
    """
    nearest: NDArray[np.int64] = np.floor(65536.0 / (1.0 + np.exp(-np.arange(256) / 24.0)) + 0.5).astype(
        np.int64
    )
    nearest[list(_ONE_ABOVE)] += 1
    return nearest
