"""The memory figure."""

from __future__ import annotations

import subprocess
import sys


def test_peak_memory_is_this_process_s_own_not_its_parent_s() -> None:
    """The parent's 200 MB must not show in the child's peak, as `ru_maxrss` would let them."""
    ballast = bytearray(200 << 20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    code = (
        "from edgepack.device_agent.memory import peak_rss_bytes as peak; before = peak();"
        "x = bytearray(64 << 20); x[::4096] = b'x' * len(x[::4096]); print(before, peak())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before < 100 << 20
    assert 60 << 20 <= after - before < 80 << 20
    del ballast
