"""Ctrl-C in each stage: exit code 130, one JSON document, nothing half-made, and the next run goes on."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.forged import padded
from tests.end_to_end.relay import Relay
from tests.end_to_end.shell import QUICK_BENCH, leftovers, ssh_device, write_lab
from tests.sshd import Sshd, children_of, needs_sshd

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Packages
    from tests.end_to_end.shell import Answer, Running, Shell

FASHION = Path(__file__).resolve().parents[2] / "examples/fashion"


def interrupted(running: Running) -> Answer:
    """Press Ctrl-C; the command ends soon, with one document, and so does every process that it started."""
    started = [pid for pid in _descendants(running.process.pid) if pid != running.process.pid]
    running.interrupt()
    answer = running.end(timeout=20)
    answer.failed(130, "Interrupted.", "run the same command to go on")
    assert answer.document["error"]["exit_code"] == 130
    deadline = time.monotonic() + 10
    while left := [pid for pid in started if _is_alive(pid)]:
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.05)
    return answer


def _descendants(pid: int) -> list[int]:
    return [pid, *(found for child in children_of(pid) for found in _descendants(child))]


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_during_import(shell: Shell) -> None:
    pytest.importorskip("keras")
    shutil.copyfile(FASHION / "fashion.keras", shell.folder / "fashion.keras")
    arguments = ("build", "fashion.keras", "--target", "rpi", "-p", "float32", "--json")
    with shell.running(*arguments) as running:
        running.wait_for(lambda: len(_descendants(running.process.pid)) > 1)
        interrupted(running)
    assert leftovers(shell.folder) == []
    assert not (shell.folder / "dist").exists()


def test_during_quantization(project: Shell) -> None:
    arguments = ("build", "fragile.tflite", "-p", "auto", "--json")
    with project.running(*arguments) as running:
        running.wait_for("quantize to auto")
        interrupted(running)
    assert leftovers(project.folder) == []
    assert not (project.folder / "dist").exists()
    assert len(list((project.folder / ".edgepack/import").iterdir())) == 1, "the finished stage was not kept"
    assert project.edgepack(*arguments).ok().document[0]["precision"] == "auto"


@needs_sshd
def test_during_push(shell: Shell, sshd: Sshd, packages: Packages, keys: Path, tmp_path: Path) -> None:
    big = padded(packages.new, keys / "own", tmp_path / "big.epk", size_bytes=8 << 20)
    device = shell.folder / "device"
    with Relay.to(sshd.address, sshd.port) as relay:
        fields = ssh_device(sshd, device, host="127.0.0.1", port=relay.port)
        write_lab(shell.folder / "lab.toml", pi=fields)
        shell.edgepack("devices", "trust", "pi", "--yes").ok()
        relay.hold_after(4 << 20)
        with shell.running("deploy", big, "--device", "pi", "--json") as running:
            running.wait_for(lambda: relay.reached)
            interrupted(running)
        relay.release()
        assert not (device / "apps/cnn/current").exists()
        done = shell.edgepack("deploy", big, "--device", "pi", "--json").ok().document["deployments"][0]
        assert done["sent_bytes"] < 7 << 20, "the upload began anew"
        assert leftovers(device) == []


def test_during_install(shell: Shell, packages: Packages) -> None:
    device = shell.folder / "device"
    write_lab(shell.folder / "lab.toml", here={"kind": "local", "work_dir": str(device)})
    old = shell.edgepack("deploy", packages.old, "--device", "here", "--json").ok().document["deployments"][0]
    with shell.running("deploy", packages.new, "--device", "here", "--json") as running:
        running.wait_for(lambda: list(device.glob("store/*.new-*")))
        interrupted(running)
    # The agent may finish a step that it has begun, so either version is current, and whole.
    store = [path.name for path in (device / "store").iterdir() if ".new-" not in path.name]
    assert (device / "apps/cnn/current").readlink().name in store
    assert old["package_id"] in store
    new = shell.edgepack("deploy", packages.new, "--device", "here", "--json").ok().document["deployments"][0]
    assert new["previous"] == old["package_id"]
    assert leftovers(device) == []


def test_during_benchmark(shell: Shell, packages: Packages) -> None:
    device = shell.folder / "device"
    write_lab(shell.folder / "lab.toml", here={"kind": "local", "work_dir": str(device)})
    shell.edgepack("deploy", packages.old, "--device", "here").ok()
    bench = ("bench", packages.old, "--device", "here", "--json")
    with shell.running(*bench, "--batches", "1", "--threads", "1,2,4", "--min-seconds", "20") as running:
        running.wait_for("batch 1, 1 thread")
        interrupted(running)
    runs = shell.edgepack(*bench, *QUICK_BENCH).ok().document["runs"]
    assert [record["device"]["name"] for record in runs] == ["here"]
    assert leftovers(device) == []


def test_terminated_command_leaves_nothing_that_counts(project: Shell) -> None:
    """A kill, against which nothing can be done at the moment: the next run starts from what is whole."""
    with project.running("build", "fragile.tflite", "-p", "auto") as running:
        running.wait_for("quantize to auto")
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
    project.edgepack("build", "fragile.tflite", "-p", "auto").ok()
    assert leftovers(project.folder) == []
