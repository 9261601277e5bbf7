"""The record of operators and types."""

from __future__ import annotations

from edgepack.converters.mcu.lower import LOWERINGS
from edgepack.converters.mcu.program import DTYPE_BYTES
from edgepack.converters.mcu.supported import ARITHMETIC, NOT_IN_TFLITE_MICRO


def test_every_operator_of_the_record_is_lowered() -> None:
    assert set(ARITHMETIC) <= set(LOWERINGS)


def test_every_type_is_one_that_a_value_may_have() -> None:
    assert {dtype for dtypes in ARITHMETIC.values() for dtype in dtypes} <= set(DTYPE_BYTES)


def test_what_tflite_micro_lacks_is_in_the_record() -> None:
    assert all(set(dtypes) <= set(ARITHMETIC[op]) for op, dtypes in NOT_IN_TFLITE_MICRO.items())
