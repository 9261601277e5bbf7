"""A host behind a slow link: a namespace with an sshd, and a relay in user space that holds packets back.

    with slow_link(folder, delay_ms=10) as server: ...

Needs root. `tc netem` would do it where the kernel has it; this does it everywhere. The relay is a process
of its own (`python benchmarks/slow_link.py NAMESPACE DEVICE DELAY_MS`): one TAP here, one there.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import fcntl
import os
import select
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.sshd import Sshd

_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TAP_NO_PI = 0x0002 | 0x1000


@contextlib.contextmanager
def slow_link(folder: Path, *, delay_ms: float) -> Iterator[Sshd]:
    """Start a host that every packet takes `delay_ms` to and `delay_ms` from."""
    from edgepack.toolchain.lab.network import ip
    from tests.sshd import Sshd

    name, net = f"epkslow{os.getpid()}", "10.214.7"
    device = f"epks{os.getpid()}"
    ip("netns", "add", name)
    try:
        command = [sys.executable, __file__, name, device, str(delay_ms)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as relay:
            try:
                assert relay.stdout is not None
                assert relay.stdout.readline() == b"ready\n"
                for address, namespace in ((f"{net}.1/24", []), (f"{net}.2/24", ["-n", name])):
                    ip(*namespace, "addr", "add", address, "dev", device)
                    ip(*namespace, "link", "set", device, "up")
                ip("-n", name, "link", "set", "lo", "up")
                with Sshd.start(folder, address=f"{net}.2", port=22, namespace=name) as server:
                    yield server
            finally:
                relay.terminate()
    finally:
        ip("netns", "del", name)


def open_tap(device: str, namespace: str | None) -> int:
    """Make a TAP device, in a namespace or here, and return what its frames are read from."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    if namespace:
        there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        assert libc.setns(there, _CLONE_NEWNET) == 0
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH", device.encode(), _IFF_TAP_NO_PI))
    assert libc.setns(here, _CLONE_NEWNET) == 0
    return tap


def relay_frames(near: int, far: int, delay_s: float) -> None:
    """Carry frames both ways, each one `delay_s` after it came."""
    waiting: dict[int, collections.deque[tuple[float, bytes]]] = {
        tap: collections.deque() for tap in (near, far)
    }
    other = {near: far, far: near}
    while True:
        due = [frames[0][0] for frames in waiting.values() if frames]
        timeout_s = max(0.0, min(due) - time.monotonic()) if due else 1.0
        for tap in select.select([near, far], [], [], timeout_s)[0]:
            with contextlib.suppress(BlockingIOError):
                for _ in range(64):
                    waiting[tap].append((time.monotonic() + delay_s, os.read(tap, 2048)))
        for tap, frames in waiting.items():
            while frames and frames[0][0] <= time.monotonic():
                with contextlib.suppress(OSError):
                    os.write(other[tap], frames.popleft()[1])


if __name__ == "__main__":
    taps = open_tap(sys.argv[2], None), open_tap(sys.argv[2], sys.argv[1])
    print("ready", flush=True)
    relay_frames(*taps, float(sys.argv[3]) / 1000)
