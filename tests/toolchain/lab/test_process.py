from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from edgepack.toolchain.lab.process import start_detached

if TYPE_CHECKING:
    from pathlib import Path


def test_a_process_is_known_by_its_start(tmp_path: Path) -> None:
    process = start_detached(["sleep", "100"], folder=tmp_path, log=tmp_path / "log")
    try:
        assert process.is_alive
        # The same id at another time, or on another boot, is another process: it is never ended.
        for other in (replace(process, start_ticks=1), replace(process, boot_id="other")):
            assert not other.is_alive
            other.end()
        assert process.is_alive
    finally:
        process.end()
    assert not process.is_alive
    process.end()


def test_a_process_has_a_session_of_its_own_and_a_log(tmp_path: Path) -> None:
    script = "echo hello; echo $$; ps -o sid= -p $$ 2>/dev/null; cut -d' ' -f6 /proc/self/stat; pwd"
    process = start_detached(["sh", "-c", script], folder=tmp_path, log=tmp_path / "log")
    deadline = time.monotonic() + 20
    while process.is_alive and time.monotonic() < deadline:
        time.sleep(0.02)
    lines = (tmp_path / "log").read_text().split()
    assert lines[0] == "hello" and lines[-1] == str(tmp_path)
    assert lines[-2] == str(process.pid)
