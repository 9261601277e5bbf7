"""What a push to many devices at once costs the host beside scp in a loop, and the others one dead device.

    sudo python benchmarks/fleet.py [--devices 50] [--size-bytes 1000000]

The devices are network namespaces with an sshd each, all on this machine: wall times are those of one machine
doing the work of all. Host CPU is that of this process and its children (scp), without the devices' side. The
agent lies on the devices already; the dead device swallows packets. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.push import DEVICE_PYTHON, cpu_s
from edgepack.toolchain.deploy.agent_session import open_session
from edgepack.toolchain.deploy.fleet import FleetEvent, run_fleet
from edgepack.toolchain.deploy.inventory import Lab
from edgepack.toolchain.deploy.transfer import blob_of_file, push_blobs
from tests.namespaces import Namespaces

if TYPE_CHECKING:
    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.deploy.inventory import Device
    from edgepack.toolchain.progress import Report


def push_all(lab: Lab, file: Path) -> dict[str, float]:
    """Push a file to all devices; return when each was done, in seconds from the start."""
    blob = blob_of_file(hashlib.sha256(file.read_bytes()).hexdigest(), file, file.stat().st_size)
    started, ended = time.perf_counter(), {}

    def work(device: Device, report: Report, cancellation: Cancellation) -> int:
        with open_session(device, lab, cancellation=cancellation) as session:
            return push_blobs(session, [blob], report=report)

    def listen(event: FleetEvent) -> None:
        if event.state == "done":
            ended[event.device] = time.perf_counter() - started

    run_fleet(lab.devices, work, attempts=1, listen=listen)
    return ended


def new_file(folder: Path, size_bytes: int) -> Path:
    path = folder / f"file-{time.monotonic_ns()}"
    path.write_bytes(os.urandom(size_bytes))
    return path


def scp_loop(hosts: Namespaces, file: Path) -> None:
    for server in hosts.servers:
        options = ["-q", "-i", str(server.identity), "-F", "none"]
        options += ["-o", f"UserKnownHostsFile={server.known_hosts}"]
        subprocess.run(["scp", *options, str(file), f"root@{server.address}:{server.folder}"], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, default=50)
    parser.add_argument("--size-bytes", type=int, default=1_000_000)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # take the namespaces down when ended early
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with Namespaces.start(folder, count=arguments.devices) as hosts:
            known = folder / "known_hosts"
            known.write_text("".join(server.known_hosts.read_text() for server in hosts.servers))
            devices = tuple(
                server.device(f"pi{number:02d}", python=DEVICE_PYTHON, connect_timeout_s=8.0)
                for number, server in enumerate(hosts.servers)
            )
            lab = Lab(path=None, devices=devices, known_hosts=known)
            push_all(lab, new_file(folder, 1000))  # the agent is sent once a device
            compare(lab, hosts, folder, arguments.size_bytes)
            with_a_dead_one(lab, hosts, folder, arguments.size_bytes)


def compare(lab: Lab, hosts: Namespaces, folder: Path, size_bytes: int) -> None:
    used, started = cpu_s(), time.perf_counter()
    ended = push_all(lab, new_file(folder, size_bytes))
    ours, wall_s = cpu_s() - used, time.perf_counter() - started
    print(f"edgepack, 16 at a time: {len(ended)} devices in {wall_s:.2f} s, {ours:.2f} s CPU on the host")
    file = new_file(folder, size_bytes)
    used, started = cpu_s(), time.perf_counter()
    scp_loop(hosts, file)
    theirs, wall_s = cpu_s() - used, time.perf_counter() - started
    count = len(hosts.servers)
    print(f"scp in a loop:          {count} devices in {wall_s:.2f} s, {theirs:.2f} s CPU on the host")
    print(f"ratio of the CPU times: {ours / theirs:.2f}\n")


def with_a_dead_one(lab: Lab, hosts: Namespaces, folder: Path, size_bytes: int) -> None:
    runs = {}
    for name in ("all alive", "first one dead", "all alive again"):
        if name == "first one dead":
            hosts.cut(0)
        ended = push_all(lab, new_file(folder, size_bytes))
        hosts.mend(0)
        others = [when for device, when in ended.items() if device != lab.devices[0].name]
        runs[name] = max(others)
        middle = statistics.median(others)
        print(
            f"{name:16} the other {len(others)} were done after {max(others):.2f} s (median {middle:.2f} s)"
        )
    alive = (runs["all alive"] + runs["all alive again"]) / 2
    print(f"delay of the others by the dead one: {runs['first one dead'] - alive:+.2f} s")


if __name__ == "__main__":
    main()
