"""A record is whole or absent: killed, out of space or without power at any step of writing it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgepack.device_agent import record_file
from edgepack.device_agent.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTOR = 512
RECORD = b"".join(b'{"sample": %d}' % number for number in range(400))


def never() -> None:
    pytest.fail("the disk is not full")


def read(folder: Path) -> bytes:
    file, size_bytes, _ = record_file.open_record(folder)
    with file:
        data = file.read()
    assert len(data) == size_bytes
    return data


@pytest.mark.parametrize("room", [None, 100, 1 << 16])
def test_round_trip(tmp_path: Path, room: int | None) -> None:
    if room:
        record_file.reserve(tmp_path, room)
    record_file.write(tmp_path, RECORD, never)
    assert read(tmp_path) == RECORD
    assert [path.name for path in tmp_path.iterdir()] == ["record"]
    assert record_file.size_bytes(tmp_path) == len(RECORD)


@pytest.mark.parametrize("torn", ["cut", "bit", "longer", "empty", "zeros"])
def test_a_torn_record_is_never_sent(tmp_path: Path, torn: str) -> None:
    record_file.write(tmp_path, RECORD, never)
    path = tmp_path / "record"
    data = path.read_bytes()
    changed = {
        "cut": data[:-1],
        "bit": data[:2000] + bytes([data[2000] ^ 1]) + data[2001:],
        "longer": data + b"\0",
        "empty": b"",
        "zeros": bytes(len(data)),
    }
    path.write_bytes(changed[torn])
    with pytest.raises(AgentError, match="damaged"):
        record_file.open_record(tmp_path)


class Disk:
    """What a power cut leaves of a folder: what was fsynced, and any part of what was not.

    It listens to the calls of `os` that change files. Of each file it knows the content at its last fsync, of
    the folder the names at its last fsync.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, crash: Any) -> None:
        self.folder = folder
        self.synced: dict[int, bytes] = {}
        self.names: dict[str, int] = {}
        self._crash = crash
        for name in ("pwrite", "ftruncate", "fsync", "replace"):
            monkeypatch.setattr(os, name, self._heard(name, getattr(os, name)))

    def _heard(self, name: str, call: Any) -> Any:
        def heard(*arguments: Any) -> Any:
            result = call(*arguments)
            if name == "fsync":
                self._sync(arguments[0])
            self._crash(self)
            return result

        return heard

    def _sync(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path == self.folder:
            self.names = {entry.name: entry.inode() for entry in os.scandir(path)}
        else:
            self.synced[os.fstat(descriptor).st_ino] = path.read_bytes()

    def after_power_cut(self, target: Path, rng: random.Random) -> None:
        """Write what may be found after power is back: each sector and name old or new, as it happens."""
        now = {entry.name: entry.inode() for entry in os.scandir(self.folder)}
        names = now if rng.random() < 0.5 else self.names  # a rename may have reached the disk by itself
        for name, inode in names.items():
            current = next((self.folder / n for n, i in now.items() if i == inode), None)
            new = current.read_bytes() if current else b""
            old = self.synced.get(inode, b"")
            length = rng.choice([len(old), len(new)])
            sectors = range(0, length, SECTOR)
            mixed = b"".join(rng.choice([old, new])[at : at + SECTOR].ljust(SECTOR, b"\0") for at in sectors)
            (target / name).write_bytes(mixed[:length])


def test_power_cut_at_any_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, rng = tmp_path / "job", random.Random(7)
    folder.mkdir()
    found: list[list[bool]] = []

    def crash(disk: Disk) -> None:
        states = []
        for attempt in range(40):
            after = tmp_path / f"after-{len(found)}-{attempt}"
            after.mkdir()
            disk.after_power_cut(after, rng)
            with monkeypatch.context() as quiet:
                for name, call in real.items():
                    quiet.setattr(os, name, call)
                states.append(record_file.recover(after))
                if states[-1]:
                    assert read(after) == RECORD, "a torn file was taken for a record"
                shutil.rmtree(after)
        found.append(states)

    real = {name: getattr(os, name) for name in ("pwrite", "ftruncate", "fsync", "replace")}
    record_file.reserve(folder, 1 << 15)
    disk = Disk(folder, monkeypatch, crash)
    disk._sync(os.open(folder, os.O_RDONLY))
    for path in folder.iterdir():
        disk._sync(os.open(path, os.O_RDONLY))
    record_file.write(folder, RECORD, never)
    disk._crash(disk)
    assert not any(found[0]), "before the first byte"
    assert all(found[-1]), "written: no power cut may lose it"
    synced = next(index for index, states in enumerate(found) if all(states))
    assert all(all(states) for states in found[synced:]), "once it is safe it stays safe"


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from edgepack.device_agent import record_file
from pathlib import Path
left = int(sys.argv[3])
def counted(call):
    def stand_in(*arguments):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return call(*arguments)
    return stand_in
for name in ("pwrite", "ftruncate", "fsync", "replace", "open", "close"):
    setattr(os, name, counted(getattr(os, name)))
record_file.write(Path(sys.argv[2]), b"r" * 5000, lambda: None)
"""


def test_kill_at_any_step(tmp_path: Path) -> None:
    """Once all bytes are written, a kill loses nothing: not before the fsync, not before the rename."""
    source = str(Path(__file__).parents[2] / "src")
    outcomes: list[bool] = []
    for step in range(40):
        folder = tmp_path / str(step)
        folder.mkdir()
        record_file.reserve(folder, 1 << 14)
        done = subprocess.run([sys.executable, "-c", KILLED, source, str(folder), str(step)], check=False)
        outcomes.append(record_file.recover(folder))
        if outcomes[-1]:
            assert read(folder) == b"r" * 5000
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    assert done.returncode == 0, "it never came to its end"
    assert len(outcomes) > 8
    first = outcomes.index(True)
    assert all(outcomes[first:])
    assert len(outcomes) - first >= 5, "a kill after the last byte lost the record"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("this machine does not allow mounts")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def test_the_room_was_taken_before_the_disk_was_full(small_disk: Path) -> None:
    record_file.reserve(small_disk, 400_000)
    fill(small_disk)
    record_file.write(small_disk, b"r" * 399_000, never)
    assert read(small_disk) == b"r" * 399_000


def test_a_record_larger_than_its_room_waits_for_space(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_file, "RETRY_S", 0.05)
    record_file.reserve(small_disk, 100_000)
    filler = fill(small_disk)
    waits: list[int] = []

    def waiting() -> None:
        waits.append(1)
        if len(waits) == 3:
            threading.Thread(target=filler.unlink).start()

    record_file.write(small_disk, b"r" * 300_000, waiting)
    assert len(waits) >= 3
    assert read(small_disk) == b"r" * 300_000


def test_no_room_is_said_at_once(small_disk: Path) -> None:
    fill(small_disk)
    with pytest.raises(OSError, match="No space"):
        record_file.reserve(small_disk, 100_000)
    assert not (small_disk / "record.new").exists()
