"""How far a tensor of the deployed model is from the float model's, over many samples.

Rules:
    * Sums are kept in float64 and updated sample by sample: no tensor is stored.
    * A ratio that does not exist (no error, or no signal) is None; `max_abs_error` says which of the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


_PIECE = 8192


@dataclass(frozen=True)
class TensorError:
    """The error of one tensor.

    Attributes:
        name: Its name in the float model.
        operator: The operator that writes it, such as "CONV_2D"; "INPUT" for an input.
        dtype: Its type in the deployed model.
        sqnr_db: Signal to quantization noise, 10·log10(Σx² / Σ(x-y)²), in decibels; None where there is no
            error or no signal. Source: Oppenheim and Schafer, "Discrete-Time Signal Processing", 4.8.3.
        max_abs_error: Largest |x-y|, in real values.
        max_step_error: `max_abs_error` in quantized steps of the deployed tensor; None where it is float.
        cosine: Cosine of the angle between the two, Σxy / √(Σx²·Σy²); None where one of them is all zeros.
        added_noise: Noise over signal power that the operator adds to that of its worst input, 0 or more:
            what marks the tensor as a cause rather than a victim; None where the signal is all zeros.
    """

    name: str
    operator: str
    dtype: str
    sqnr_db: float | None
    max_abs_error: float
    max_step_error: float | None
    cosine: float | None
    added_noise: float | None

    @property
    def pattern(self) -> str:
        """A glob for the name that can be typed: converters join the names of fused operators by ';'."""
        parts = [part for part in self.name.split(";") if part]
        if len(parts) < 2:
            return self.name
        return f"{'' if self.name.startswith(parts[0]) else '*'}{parts[0]}*"


class ErrorSums:
    """Running sums over samples of one tensor."""

    def __init__(self) -> None:
        self._signal = self._noise = self._deployed = self._product = 0.0
        self._max_abs_error = 0.0

    def add(self, expected: NDArray[Any], found: NDArray[Any]) -> None:
        """Add one sample: the float model's values and the deployed model's real values, of one shape."""
        x = expected.astype(np.float64).reshape(-1)
        y = found.astype(np.float64).reshape(-1)
        error = x - y
        self._signal += _dot(x, x)
        self._deployed += _dot(y, y)
        self._product += _dot(x, y)
        self._noise += _dot(error, error)
        self._max_abs_error = max(self._max_abs_error, float(np.abs(error).max(initial=0.0)))

    @property
    def noise_to_signal(self) -> float | None:
        """Noise power over signal power; None where the signal is all zeros."""
        return self._noise / self._signal if self._signal > 0 else None

    def result(
        self, *, name: str, operator: str, dtype: str, scale: float | None, input_noise: float
    ) -> TensorError:
        """Return the error; `input_noise` is the largest noise-to-signal among the operator's inputs."""
        ratio = self.noise_to_signal
        norms = math.sqrt(self._signal) * math.sqrt(self._deployed)
        return TensorError(
            name=name,
            operator=operator,
            dtype=dtype,
            sqnr_db=-10 * math.log10(ratio) if ratio else None,
            max_abs_error=self._max_abs_error,
            max_step_error=self._max_abs_error / scale if scale else None,
            cosine=self._product / norms if norms else None,
            added_noise=None if ratio is None else max(0.0, ratio - input_noise),
        )


def _dot(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return Σxy, in pieces: above 10,000 elements BLAS starts threads, which here cost more than they save.

    Source: OpenBLAS, kernel/x86_64/ddot.c ("n <= 10000": one thread); measured.
    """
    pieces = range(0, x.size, _PIECE)
    return float(sum(x[start : start + _PIECE] @ y[start : start + _PIECE] for start in pieces))
