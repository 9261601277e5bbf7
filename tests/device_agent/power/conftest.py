"""Fake machines: trees of the kernel's files in a temporary folder, laid out as the ABI documents say."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from edgepack.device_agent.power import sampler
from edgepack.device_agent.power.roots import Roots

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass
class Machine:
    """A machine's files below `root`."""

    root: Path

    @property
    def roots(self) -> Roots:
        return Roots(self.root / "class", self.root / "dev", (self.root / "bin" / "vcgencmd",))

    def write(self, folder: str, **files: object) -> Path:
        path = self.root / "class" / folder
        path.mkdir(parents=True, exist_ok=True)
        for name, value in files.items():
            self.put(path / name, value)
        return path

    @staticmethod
    def put(path: Path, value: object) -> None:
        """Write as the kernel answers: never half a value."""
        part = path.with_name(path.name + ".part")
        part.write_text(f"{value}\n")
        part.replace(path)

    def add(self, path: Path, value: int) -> None:
        self.put(path, int(path.read_text()) + value)

    def vcgencmd(self, script: str) -> Path:
        path = self.root / "bin" / "vcgencmd"
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)
        return path


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "class").mkdir()
    (tmp_path / "dev").mkdir()
    return Machine(tmp_path)


# What a machine that is busy with other things does to a short window.
BUSY = re.compile(r"samples cover|samples in a window")


def measure(
    sensor: Any, seconds: float, during: Callable[[], object] | None = None, *, once: bool = False
) -> dict[str, Any]:
    """Return the POWER value of a window, in the middle of which something may happen.

    The first try takes half of `seconds`. A window in which this machine was too busy to sample is taken
    again, and longer, unless `once`.
    """
    for attempt in range(6):
        length = seconds if once else seconds / 2 * 1.6**attempt
        sensor.begin()
        time.sleep(length / 2)
        if during:
            during()
        time.sleep(length / 2)
        found = sensor.end()
        if once or not BUSY.search(found.get("unavailable", "")):
            break
    return found


@pytest.fixture
def measuring() -> Callable[..., dict[str, Any]]:
    return measure


@pytest.fixture(autouse=True)
def _sampled_often(monkeypatch) -> None:
    """Windows of the tests are short: they are sampled at the drivers' own rates, at any cost."""
    monkeypatch.setattr(sampler, "CPU_BUDGET", 0.5)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Any:
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 3
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    left = [thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("power")]
    assert not left
