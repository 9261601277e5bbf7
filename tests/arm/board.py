"""A board that miscomputes: Arm programs under QEMU user-mode emulation, on a CPU that it emulates wrongly.

    with Board.start(build_rootfs(ARM64), tmp_path / "pi") as board:
        board.port, board.wrong_port, board.ssh(["uname", "-m"])

A whole emulated machine (`edgepack lab up rpi64`) computes right whatever its CPU is called, since its kernel
switches off what QEMU 7.2 gets wrong.

Rules:
    * Everything runs in a mount, process and host name namespace of its own. When its first process ends, the
      kernel undoes the mounts and ends whatever the board has started, also when the test's process dies.
    * The board writes to an overlay in memory: the root file system stays as it was built.
    * The board has a `/sys` with CPU folders and nothing else: LiteRT crashes under QEMU when it reads the
      CPU folders of a machine of another architecture.
    * Behind `port` programs see a Cortex-A72. Behind `wrong_port` they see all that QEMU can emulate, and
      with that integer models go wrong on QEMU 7.2, silently: a device that miscomputes.
    * Time on an emulated board says nothing about a real one.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.sshd import free_port, make_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ADDRESS = "127.0.0.1"
CPUS = 4
_START_S = 60

# $1 an empty folder, $2 the board's own files, $3 the root file system, $4 the host name
_INIT = """
set -e
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=$2:$3,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
mount -t proc proc "$1/root/proc"
mount --bind "$1/root/etc/cpuinfo" "$1/root/proc/cpuinfo"
mount -t tmpfs -o mode=755 tmpfs "$1/root/dev"
mkdir -m 1777 "$1/root/dev/shm"
mknod -m 666 "$1/root/dev/null" c 1 3
mknod -m 666 "$1/root/dev/zero" c 1 5
mknod -m 666 "$1/root/dev/random" c 1 8
mknod -m 666 "$1/root/dev/urandom" c 1 9
hostname "$4"
exec chroot "$1/root" /usr/sbin/sshd -D -e -f /etc/ssh/board_config
"""

_PASSWD = """root:x:0:0:root:/root:/bin/bash
sshd:x:101:65534::/run/sshd:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""

# As a Raspberry Pi 4 shows it. Source: Arm's Main ID Register, part 0xd08 is Cortex-A72.
_CPU = """processor\t: {number}
BogoMIPS\t: 108.00
Features\t: {features}
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""
_FEATURES = "fp asimd evtstrm crc32 cpuid"
_RIGHT_CPU, _WRONG_CPU = "cortex-a72", "max"
_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_EMULATOR = "qemu-aarch64"


@dataclass(frozen=True)
class Board:
    """A running board.

    Attributes:
            port: Where its sshd listens on loopback.
        wrong_port: Where programs get the CPU that miscomputes.
        identity: The private key that it accepts.
        host_key: The public half of its host key.
        log: What its sshd says.
    """

    port: int
    wrong_port: int
    identity: Path
    host_key: Path
    log: Path

    @classmethod
    @contextlib.contextmanager
    def start(cls, root: Path, folder: Path, *, name: str = "pi4") -> Iterator[Board]:
        """Start a board and end it, with everything that it has started, afterwards.

        Args:
            root: Its root file system.
            folder: A folder for its files, which does not exist yet.
            name: Its host name.
        """
        (folder / "mount").mkdir(parents=True)
        host_key, identity = make_key(folder / "host_key"), make_key(folder / "identity")
        ports = free_port(ADDRESS), free_port(ADDRESS)
        board = cls(*ports, identity, folder / "host_key.pub", folder / "log")
        _write_layer(folder / "layer", board, host_key)
        namespaces = ["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child=KILL"]
        script = ["sh", "-c", _INIT, "board", str(folder / "mount"), str(folder / "layer"), str(root), name]
        with board.log.open("wb") as log:
            command = ["setpriv", "--pdeathsig", "KILL", *namespaces, *script]
            environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "QEMU_CPU": _RIGHT_CPU}
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )
        try:
            board._wait_until_listening(process)
            yield board
        finally:
            process.kill()
            process.wait(10)

    def ssh(self, argv: Sequence[str], *, wrong: bool = False) -> str:
        """Run a program on the board with the OpenSSH client, and return what it prints."""
        options = {"BatchMode": "yes", "StrictHostKeyChecking": "no", "UserKnownHostsFile": "/dev/null"}
        given = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
        port = self.wrong_port if wrong else self.port
        login = ["-F", "none", "-q", "-p", str(port), "-i", str(self.identity), f"root@{ADDRESS}"]
        done = subprocess.run(
            ["ssh", *given, *login, shlex.join(argv)], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _wait_until_listening(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if self.log.read_bytes().count(b"Server listening") == 2:
                return
            if process.poll() is not None:
                break
            time.sleep(0.05)
        pytest.fail(f"the board did not start: {self.log.read_text()}")


def _write_layer(layer: Path, board: Board, host_key: Path) -> None:
    """Write what the board has beside its packages: what maintainer scripts write, keys, and a small /sys."""
    texts = {
        "etc/passwd": _PASSWD,
        "etc/group": "root:x:0:\nnogroup:x:65534:\n",
        "etc/resolv.conf": "",  # the board knows no name of the world outside
        "etc/cpuinfo": "".join(_CPU.format(number=n, features=_FEATURES) for n in range(CPUS))
        + "Hardware\t: BCM2835\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n",
        "etc/ssh/board_config": _sshd_config(board),
        "etc/ssh/board_key": host_key.read_text(),
        "root/.ssh/authorized_keys": board.identity.with_suffix(".pub").read_text(),
        **_cpu_folders(),
    }
    for name, text in texts.items():
        path = layer / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (layer / "run/sshd").mkdir(parents=True)
    for folder in (layer, *(path for path in layer.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    for secret in ("etc/ssh/board_key", "root/.ssh/authorized_keys"):
        (layer / secret).chmod(0o600)


def _sshd_config(board: Board) -> str:
    cpus = {board.port: _RIGHT_CPU, board.wrong_port: _WRONG_CPU}
    lines = [
        *(f"ListenAddress {ADDRESS}:{port}" for port in cpus),
        "HostKey /etc/ssh/board_key", "PidFile none", "UsePAM no", "UseDNS no", "StrictModes no",
        "PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin yes",
        *(f"Match LocalPort {port}\n  SetEnv QEMU_CPU={cpu}" for port, cpu in cpus.items()),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _cpu_folders() -> dict[str, str]:
    cpu = "sys/devices/system/cpu"
    texts = {f"{cpu}/{name}": f"0-{CPUS - 1}\n" for name in ("possible", "present", "online")}
    for number in range(CPUS):
        one = f"{cpu}/cpu{number}"
        texts |= {
            f"{one}/cpufreq/scaling_governor": "ondemand\n",
            f"{one}/cpufreq/scaling_cur_freq": "600000\n",
            f"{one}/cpufreq/cpuinfo_max_freq": "1800000\n",
            f"{one}/cpufreq/cpuinfo_min_freq": "600000\n",
            f"{one}/topology/core_id": f"{number}\n",
            f"{one}/topology/physical_package_id": "0\n",
            f"{one}/topology/core_siblings_list": f"0-{CPUS - 1}\n",
            f"{one}/topology/thread_siblings_list": f"{number}\n",
        }
    return texts


def why_not() -> str | None:
    """Return why this machine cannot run such a board; None where it can."""
    if os.geteuid() != 0:
        return "needs root: it mounts file systems and calls chroot"
    missing = [program for program in ("unshare", "setpriv") if shutil.which(program) is None]
    if missing:
        return "apt-get install util-linux"
    if not _starts_arm_programs():
        return (
            "the kernel does not start Arm programs: mount -t binfmt_misc binfmt_misc "
            "/proc/sys/fs/binfmt_misc, then apt-get install qemu-user-static binfmt-support"
        )
    return None


def _starts_arm_programs() -> bool:
    """Return whether the kernel starts them; mounts the file system that says so where it is not mounted."""
    if not (_BINFMT / "status").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(_BINFMT)], capture_output=True)
    if not (_BINFMT / _EMULATOR).exists() and shutil.which("update-binfmts"):
        subprocess.run(["update-binfmts", "--enable", _EMULATOR], capture_output=True)
    try:
        entry = (_BINFMT / _EMULATOR).read_text()
    except OSError:
        return False
    # With flag F the kernel keeps the emulator open, so that it works inside a chroot.
    return "enabled" in entry and bool(re.search(r"^flags: .*F", entry, re.MULTILINE))
