"""What a push costs beside OpenSSH's scp: one big file, many small ones, the same over a slow link.

    python benchmarks/push.py [--repeats 5] [--skip-link]

Both sides push the same bytes to the same sshd on this machine, in turn, connecting included. edgepack's
side starts Python for the agent on the "device", hashes everything on both sides, and ends when the device
has said that all is stored under its hash; scp verifies nothing. Host CPU is that of this process and its
children, without sshd's side. edgepack's libraries are loaded once, before the first turn.

The slow link (20 ms round trip) is a relay between two TAP devices in network namespaces; it needs root.
Nothing is asserted.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.slow_link import slow_link
from edgepack.toolchain.deploy.agent_session import open_session
from edgepack.toolchain.deploy.transfer import blob_of_file, push_blobs
from tests.sshd import Sshd

# What a device has: the system's own Python, where there is one.
DEVICE_PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
CASES = {"50 MB": (1, 50_000_000), "500 x 20 KB": (500, 20_000)}


def make_files(folder: Path, count: int, size_bytes: int) -> list[Path]:
    folder.mkdir(parents=True)
    paths = [folder / f"file-{number:03d}.bin" for number in range(count)]
    for path in paths:
        path.write_bytes(os.urandom(size_bytes))
    return paths


def cpu_s() -> float:
    """CPU seconds of this process and of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def push_edgepack(server: Sshd, files: list[Path], turn: int) -> None:
    """Connect, push and verify, as `edgepack deploy` does; hashing on the host included."""
    device = server.device(work_dir=str(server.folder / f"work-{turn}"), python=DEVICE_PYTHON)
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    blobs = [blob_of_file(*entry, entry[1].stat().st_size) for entry in zip(hashes, files, strict=True)]
    with open_session(device, server.lab()) as session:
        assert push_blobs(session, blobs) == sum(blob.size_bytes for blob in blobs)


def push_scp(server: Sshd, files: list[Path], turn: int) -> None:
    target = server.folder / f"scp-{turn}"
    target.mkdir()
    options = ["-q", "-P", str(server.port), "-i", str(server.identity), "-o", "BatchMode=yes"]
    options += ["-o", f"UserKnownHostsFile={server.known_hosts}", "-F", "none"]
    subprocess.run(["scp", *options, *map(str, files), f"root@{server.address}:{target}"], check=True)


def clean(server: Sshd, turn: int) -> None:
    for name in (f"work-{turn}", f"scp-{turn}"):
        shutil.rmtree(server.folder / name, ignore_errors=True)


def measure(name: str, server: Sshd, files: list[Path], repeats: int, *, warm_up: int = 1) -> None:
    """Print wall and CPU time of both sides, their spread, and the ratio of the medians."""
    sides = {"edgepack": push_edgepack, "scp": push_scp}
    # The agent is sent once a device: not part of a push. Both sides start with warm caches.
    wall: dict[str, list[float]] = {side: [] for side in sides}
    cpu: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(-warm_up, repeats):
        place_agent(server, turn)
        for side, push in sides.items():
            started, used = time.perf_counter(), cpu_s()
            push(server, files, turn)
            if turn >= 0:
                wall[side].append(time.perf_counter() - started)
                cpu[side].append(cpu_s() - used)
        clean(server, turn)
    for side in sides:
        times = wall[side]
        print(
            f"{name:24} {side:9} {statistics.median(times):6.3f} s ({min(times):.3f}..{max(times):.3f}), "
            f"{statistics.median(cpu[side]):.3f} s CPU on the host"
        )
    ratios = sorted(ours / theirs for ours, theirs in zip(wall["edgepack"], wall["scp"], strict=True))
    ratio = statistics.median(wall["edgepack"]) / statistics.median(wall["scp"])
    print(
        f"{name:24} ratio     {ratio:6.2f} of the medians (turn by turn {ratios[0]:.2f}..{ratios[-1]:.2f})\n"
    )


def place_agent(server: Sshd, turn: int) -> None:
    """Put the agent where the turn's empty work_dir will be."""
    device = server.device(work_dir=str(server.folder / f"work-{turn}"), python=DEVICE_PYTHON)
    with open_session(device, server.lab()):
        pass


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--skip-link", action="store_true", help="leave the slow link out")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # take the servers down when ended early
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        files = {name: make_files(folder / name.replace(" ", ""), *case) for name, case in CASES.items()}
        server = stack.enter_context(Sshd.start(folder / "loopback"))
        for name in CASES:
            measure(f"{name}, loopback", server, files[name], arguments.repeats)
        if arguments.skip_link or os.geteuid() != 0:
            print("slow link: left out (needs root)")
            return
        far = stack.enter_context(slow_link(folder / "far", delay_ms=10))
        print("slow link, one turn: scp waits for a round trip or more a file, about a minute")
        measure("500 x 20 KB, 20 ms", far, files["500 x 20 KB"], 1, warm_up=0)


if __name__ == "__main__":
    main()
