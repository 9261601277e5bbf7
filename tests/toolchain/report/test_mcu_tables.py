from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from edgepack.toolchain.report.mcu_tables import mcu_table

REPORT: dict[str, Any] = {
    "prefix": "kws",
    "target": "cortex-m4",
    "core": "cortex-m4",
    "compiler": {"name": "gcc", "version": "12.2.1", "triple": "arm-none-eabi"},
    "flash_bytes": {"kernels": 4832, "weights": 33584, "total": 38416},
    "ram_bytes": {"arena": 16320, "arena_lower_bound": 16000, "static": 32, "stack": 268},
    "peak": {"operator": "CONV_2D 25x5x64", "tensors": [{"name": "x" * 90 + "/Relu", "bytes": 8000}]},
    "emulated": {
        "board": "qemu-mps2-an386",
        "instructions": 1000 * 20,
        "resolution": 40.0,
        "operators": [
            {"operator": f"CONV_2D {i}", "kernel": "ep_conv_2d_s8", "macs": 500, "instructions": 1000}
            for i in range(20)
        ],
    },
    "not_emulated_reason": None,
}


def text(report: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(mcu_table(report))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_figures_and_what_they_are() -> None:
    shown = text(REPORT)
    for part in ("33,584", "38,416", "16,320", "16,000", "268", "2.00", "and 8,000 in 8 more operators"):
        assert part in shown
    assert "20,000 instructions an inference, emulated on qemu-mps2-an386 (instructions, not cycles)" in shown
    assert "…" in shown
    assert "x" * 60 not in shown
    assert shown.index("weights") < shown.index("kernels") < shown.index("total")


@pytest.mark.parametrize("flash", [None, {"total": 5}])
def test_what_was_not_measured_is_not_zero(flash: dict[str, int] | None) -> None:
    ram = {"arena": 16320, "arena_lower_bound": 16320, "static": None, "stack": None}
    reason = {"emulated": None, "not_emulated_reason": "QEMU is not installed", "peak": None}
    shown = text({**REPORT, **reason, "flash_bytes": flash, "ram_bytes": ram})
    assert "Instructions were not counted: QEMU is not installed." in shown
    assert "—" in shown
    assert " 0 " not in shown
