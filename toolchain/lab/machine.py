"""A whole emulated machine: QEMU with Debian's Arm kernel and a disk of its own, reached by SSH on loopback.

    with a device of kind "rpi64" that `control.up` made:
    machine = Machine(device)
    machine.set_power(5.0); machine.power_cut(); machine.link(up=False)

Rules:
    * The disk lasts: it is an overlay over the built one, and goes on after a power cut, a reboot, and a
      restart of this machine.
    * The machine reaches no network; only its SSH port is forwarded, from loopback.
    * It is emulated (no virtual CPU of the host), so that every host computes the same, and slowly.
"""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.toolchain.deploy.connection import run as run_on
from edgepack.toolchain.deploy.ssh import connect_ssh
from edgepack.toolchain.errors import LabError
from edgepack.toolchain.lab.commands import find_program, run
from edgepack.toolchain.lab.cpio import cpio
from edgepack.toolchain.lab.kernel import CPU, CPUS, MEMORY_MIB
from edgepack.toolchain.lab.power import PowerLog, as_json, parse_log
from edgepack.toolchain.lab.process import start_detached
from edgepack.toolchain.lab.qmp import SOCKET, human_monitor, monitor
from edgepack.toolchain.lab.state import identity_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from edgepack.toolchain.lab.kernel import Kernel
    from edgepack.toolchain.lab.power import Segment
    from edgepack.toolchain.lab.state import EmulatedDevice

ADDRESS = "127.0.0.1"
_DISK, _INITRD, _CONSOLE, _LOG = "disk.qcow2", "initrd", "console.log", "qemu.log"
_BOOT_S = 180.0
_TRANSLATED_MIB = 256  # translated code is kept in memory; without a limit, an eighth of the host's
_POLL_S = 0.1
_BANNER_S = 2.0
_PLAY = 'busybox setsid lab-power play "$1" < /dev/null > /dev/null 2>&1 &'
_BATTERY = "grep -q test_power /proc/modules || busybox insmod /run/lab/test_power.ko"


@dataclass(frozen=True)
class Machine:
    """An emulated machine.

    Attributes:
        device: The device that it is.
    """

    device: EmulatedDevice

    def prepare(self, disk: Path, kernel: Kernel) -> None:
        """Make what is the machine's own: its disk, and the part of its first file system that names it.

        Args:
            disk: The disk that its own lies over.
            kernel: What it boots.

        Raises:
            LabError: The disk cannot be made.
        """
        folder = self.device.folder
        if not (folder / _DISK).exists():
            over = ["-f", "qcow2", "-F", "raw", "-b", disk, folder / _DISK]
            run(["qemu-img", "create", "-q", *over], what="Making the device's disk", timeout_s=60)
        own = {
            "device/hostname": (f"{self.device.name}\n".encode(), 0o644),
            "device/host_key": ((folder / "host_key").read_bytes(), 0o600),
            "device/authorized_keys": (identity_path().with_suffix(".pub").read_bytes(), 0o600),
        }
        first = kernel.initrd.read_bytes()
        # The kernel looks for the next archive at a multiple of four bytes, past zeros.
        (folder / _INITRD).write_bytes(first + b"\0" * (-len(first) % 4) + cpio(own))
        (folder / _INITRD).chmod(0o600)

    def start(self, kernel: Kernel) -> Machine:
        """Switch the machine on and return it with its process.

        Raises:
            LabError: QEMU does not start.
        """
        folder = self.device.folder
        (folder / SOCKET).unlink(missing_ok=True)
        (folder / _LOG).unlink(missing_ok=True)
        process = start_detached(self._command(kernel), folder=folder, log=folder / _LOG)
        return Machine(self.device.with_process(process))

    def _command(self, kernel: Kernel) -> list[str]:
        port = self.device.port
        return [
            find_program("qemu-system-aarch64") or "qemu-system-aarch64",
            "-name", f"edgepack-{self.device.name}", "-nodefaults", "-no-user-config",
            "-M", "virt", "-dtb", str(kernel.device_tree),
            "-accel", f"tcg,thread=multi,tb-size={_TRANSLATED_MIB}",
            "-cpu", CPU, "-smp", str(CPUS), "-m", str(MEMORY_MIB), "-display", "none",
            "-serial", f"file:{_CONSOLE}", "-qmp", f"unix:{SOCKET},server=on,wait=off",
            "-kernel", str(kernel.image), "-initrd", _INITRD,
            "-append", "console=ttyAMA0 root=/dev/vda rw quiet net.ifnames=0 panic=1",
            "-drive", f"file={_DISK},format=qcow2,if=none,id=disk0,discard=unmap",
            "-device", "virtio-blk-device,drive=disk0",
            "-netdev", f"user,id=net0,restrict=on,hostfwd=tcp:{ADDRESS}:{port}-:22",
            "-device", "virtio-net-device,netdev=net0",
        ]  # fmt: skip

    def stop(self) -> None:
        """Switch the machine off at once."""
        if self.device.process is not None:
            self.device.process.end()

    def wait_until_up(self, *, timeout_s: float = _BOOT_S) -> float:
        """Wait until the machine answers on its SSH port, and return how many seconds that took.

        Raises:
            LabError: It does not come up.
        """
        start = time.monotonic()
        while (passed := time.monotonic() - start) < timeout_s:
            if self._greets():
                return time.monotonic() - start
            if not self.device.is_running:
                ended = f"QEMU ended after {passed:.0f} s"
                raise self._failure(ended, _LOG)
            time.sleep(_POLL_S)
        silent = f"no answer on its SSH port after {timeout_s:.0f} s"
        raise self._failure(silent, _CONSOLE)

    def _greets(self) -> bool:
        """Return whether an SSH server greets: QEMU itself takes a connection at any time."""
        try:
            with socket.create_connection((ADDRESS, self.device.port), timeout=_BANNER_S) as link:
                return link.recv(4) == b"SSH-"
        except OSError:
            return False

    def _failure(self, what: str, log: str) -> LabError:
        path = self.device.folder / log
        told = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
        message = f"{self.device.name}: {what}. {' '.join(told[-2:])}".rstrip()
        return LabError(message, remedy=f"Look at {path}; `edgepack lab down {self.device.name}` removes it.")

    # --- what can happen to a device -------------------------------------------------------------------

    def power_cut(self) -> None:
        """Cut the power and give it back at once: what was not synced is lost, and the machine boots.

        Raises:
            LabError: The monitor does not answer.
        """
        monitor(self.device.folder, "system_reset")

    def link(self, *, up: bool) -> None:
        """Pull the network cable, or plug it in again: nothing says goodbye.

        Raises:
            LabError: The monitor does not answer.
        """
        monitor(self.device.folder, "set_link", name="net0", up=up)

    def save_snapshot(self, name: str) -> None:
        """Keep disk, memory and CPUs as they are now.

        Raises:
            LabError: They cannot be kept.
        """
        human_monitor(self.device.folder, f"savevm {_plain(name)}")

    def load_snapshot(self, name: str) -> None:
        """Return to what was kept under a name.

        Raises:
            LabError: There is no such snapshot.
        """
        human_monitor(self.device.folder, f"loadvm {_plain(name)}")

    # --- its power sensor ----------------------------------------------------------------------------

    def set_power(self, watts: float) -> None:
        """Let the machine's INA226 read a power from now on.

        Args:
            watts: 0 to 40; the sensor's resolution is 6.25 mW.

        Raises:
            LabError: The machine does not do it.
        """
        self.run(["lab-power", "set", repr(float(watts))])

    def play_power(self, curve: Iterable[Segment]) -> None:
        """Let the power follow a curve, in the background; the last value stays.

        Raises:
            LabError: The machine does not do it.
        """
        self.run(["sh", "-c", _PLAY, "play", as_json(curve)])

    def power_log(self) -> PowerLog:
        """Return every power that the sensor was given since boot, with the machine's monotonic time.

        Raises:
            LabError: The machine does not answer.
        """
        return parse_log(self.run(["lab-power", "log"]))

    def add_battery(self) -> None:
        """Load the kernel's test driver of a battery and a charger.

        Raises:
            LabError: The machine does not do it.
        """
        self.run(["sh", "-c", _BATTERY])

    def run(self, argv: Sequence[str], *, timeout_s: float = 120) -> str:
        """Run a program on the machine and return what it prints.

        Raises:
            NetworkError: The machine cannot be reached.
            LabError: The program failed.
        """
        lab = self.device.own_lab()
        connection = connect_ssh(lab.device(self.device.name), lab)
        try:
            done = run_on(connection, argv, timeout_s=timeout_s)
        finally:
            connection.close()
        if done.status != 0:
            message = (
                f"{self.device.name}: {json.dumps(list(argv))}: status {done.status}: {done.stderr.strip()}"
            )
            raise LabError(message, remedy=f"Look at {self.device.folder / _CONSOLE}.")
        return done.stdout.decode(errors="replace")


def _plain(name: str) -> str:
    """Return a name that is one word of the monitor."""
    if not name.replace("-", "").replace("_", "").isalnum():
        message = f"A snapshot cannot be called {name!r}."
        raise LabError(message, remedy="Use letters, digits, - and _.")
    return name
