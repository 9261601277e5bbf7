"""Fake machines: trees of the kernel's files in a temporary folder, laid out as the ABI documents say."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

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


def measure(sensor: Any, seconds: float, during: Callable[[], None] | None = None) -> dict[str, Any]:
    """Return the POWER value of one window, in the middle of which something may happen."""
    sensor.begin()
    if during:
        time.sleep(seconds / 2)
        during()
        time.sleep(seconds / 2)
    else:
        time.sleep(seconds)
    return sensor.end()


@pytest.fixture
def measuring() -> Callable[..., dict[str, Any]]:
    return measure


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Any:
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 3
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    left = [thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("power")]
    assert not left
