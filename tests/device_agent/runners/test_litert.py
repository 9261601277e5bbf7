"""The runner of .tflite models, with the real runtime and with one that lacks a choice."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgepack.device_agent.runners.litert import Runner, UnsupportedError
from tests.device_agent.conftest import write_package

if TYPE_CHECKING:
    from pathlib import Path

    from tests.device_agent.conftest import BuiltPackage


@pytest.fixture
def installed(package: BuiltPackage, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    return write_package(package, tmp_path / "package"), json.loads(package.manifest)


def operators(runner: Runner) -> list[str]:
    return [operator["op_name"] for operator in runner._interpreter._get_ops_details()]


def test_the_default_delegate_and_none(installed: tuple[Path, dict[str, Any]]) -> None:
    with_delegate = Runner("litert", *installed)
    without = Runner("litert", *installed, delegate="none")
    assert "DELEGATE" in operators(with_delegate)
    assert operators(without) == ["FULLY_CONNECTED"]
    x = np.arange(8, dtype=np.float32).reshape(1, 8)
    outputs = []
    for runner in (with_delegate, without):
        runner.set_inputs([x])
        runner.invoke()
        outputs.append(runner.outputs()[0])
    np.testing.assert_allclose(*outputs, rtol=1e-5)


def test_a_runtime_that_cannot_leave_its_delegate_out(
    installed: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("interpreter")
    module.Interpreter = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tflite_runtime", ModuleType("tflite_runtime"))
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", module)
    with pytest.raises(UnsupportedError, match="cannot leave its default delegate out"):
        Runner("tflite-runtime", *installed, delegate="none")
