from __future__ import annotations

import pytest

from edgepack.converters.errors import ConversionError
from edgepack.converters.importers.fixed_shape import fixed_shape


@pytest.mark.parametrize(
    ("shape", "batch", "fixed"),
    [([None, 3], 1, (1, 3)), ([None, 3], 4, (4, 3)), ([4, 3], 4, (4, 3)), ([], 1, ()), ([1, 0], 1, (1, 0))],
)
def test_the_batch_is_filled_in(shape: list[int | None], batch: int, fixed: tuple[int, ...]) -> None:
    assert fixed_shape("m.h5", "x", shape, batch) == fixed


def test_another_free_dimension_is_named() -> None:
    with pytest.raises(ConversionError, match=r"Input 'x' of 'm.h5' has a free dimension 1: \[\?, \?, 3\]"):
        fixed_shape("m.h5", "x", [None, None, 3], 1)


def test_a_fixed_batch_says_which_to_ask_for() -> None:
    with pytest.raises(ConversionError, match="fixed batch 8, not 1") as raised:
        fixed_shape("m.h5", "x", [8, 3], 1)
    assert "--batch 8" in raised.value.remedy
