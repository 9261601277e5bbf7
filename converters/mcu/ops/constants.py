"""Weights and biases as the tables that kernels read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.program import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edgepack.converters.graph import Operator, Tensor
    from edgepack.converters.mcu.requantize import Multiplier


def constant(operator: Operator, tensor: Tensor) -> NDArray[np.generic]:
    """Return the data of a tensor that must be constant.

    Raises:
        ConversionError: It is computed, or stored sparse.
    """
    data = tensor.data
    if data is None:
        msg = f"{operator.op}: tensor '{tensor.name}' must be constant, but another operator computes it."
        raise ConversionError(msg, remedy="Freeze the weights of the model before it is converted.")
    return data


def channel_table(bias: NDArray[np.generic] | None, multipliers: Sequence[Multiplier]) -> Table:
    """Return `ep_channel` rows: bias, multiplier and shift of each output channel.

    Args:
        bias: int32 [n], or None for zeros.
        multipliers: n factors.
    """
    biases = np.zeros(len(multipliers), np.int64) if bias is None else bias.reshape(-1).astype(np.int64)
    rows = [(int(b), m.multiplier, m.shift) for b, m in zip(biases, multipliers, strict=True)]
    return Table("ep_channel", np.array(rows, np.int64))
