"""Golden inputs, one after the other along the batch, another first one for each window."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgepack.device_agent.inputs import difference, set_golden_inputs
from edgepack.device_agent.runners.litert import UnsupportedError
from tests.device_agent.conftest import write_package

if TYPE_CHECKING:
    from pathlib import Path

    from tests.device_agent.conftest import BuiltPackage


class Recorder:
    """Stands for a model: keeps its inputs, and has the outputs that it was given."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.inputs: list[Any] = []
        self.results: list[Any] = []

    def set_inputs(self, arrays: list[Any]) -> None:
        self.inputs = arrays

    def outputs(self) -> list[Any]:
        return self.results


@pytest.fixture
def installed(package: BuiltPackage, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    return write_package(package, tmp_path / "package"), json.loads(package.manifest)


@pytest.mark.parametrize(
    ("batch", "first", "cases"),
    [(1, 0, [0]), (1, 2, [2]), (1, 3, [0]), (2, 0, [0, 1]), (2, 2, [2, 0]), (5, 1, [1, 2, 0, 1, 2])],
)
def test_the_rows_of_a_batch(
    installed: tuple[Path, dict[str, Any]],
    contents: dict[str, bytes],
    batch: int,
    first: int,
    cases: list[int],
) -> None:
    golden = [np.frombuffer(contents[f"golden/{index}.in.bin"], "<f4") for index in range(3)]
    wanted = [np.frombuffer(contents[f"golden/{index}.out.bin"], "<f4") for index in range(3)]
    runner = Recorder(batch)
    found = set_golden_inputs(runner, *installed, first)  # type: ignore[arg-type]
    np.testing.assert_array_equal(runner.inputs[0], np.stack([golden[case] for case in cases]))
    runner.results = [np.stack([wanted[case] for case in cases])]
    assert difference(runner, *installed, found) is None  # type: ignore[arg-type]
    runner.results = [runner.results[0] + np.float32(0.25)]
    assert "the output 'y' is off the golden output by 0." in str(difference(runner, *installed, found))  # type: ignore[arg-type]


def test_a_batch_that_is_no_multiple(installed: tuple[Path, dict[str, Any]]) -> None:
    folder, manifest = installed
    for tensor in manifest["inputs"]:
        tensor["shape"][0] = 2
    with pytest.raises(UnsupportedError, match="built for batch 2; batch 3 is no multiple"):
        set_golden_inputs(Recorder(3), folder, manifest)  # type: ignore[arg-type]
