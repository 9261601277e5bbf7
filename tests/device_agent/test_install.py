"""Install, roll back, remove: what a device looks like after success, and after every kind of failure."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.device_agent.conftest import AgentError, install_runtime, runtime_wheel, sha256, tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.device_agent.conftest import Agent, BuiltPackage, Key

    Build = Callable[..., BuiltPackage]


def current(work_dir: Path, name: str = "dense") -> Path:
    return (work_dir / "apps" / name / "current").resolve()


def installed_state(work_dir: Path) -> dict[str, str]:
    """What must not change when an install fails."""
    return {**tree(work_dir / "store"), **tree(work_dir / "apps")}


def fails(code: str, agent: Agent, kind: str, **fields: Any) -> str:
    with pytest.raises(AgentError) as caught:
        agent.ask(kind, **fields)
    assert caught.value.code == code, caught.value.answer
    assert caught.value.answer["remedy"]
    return caught.value.answer["message"]


def test_install_makes_the_package_current(agent: Agent, package: BuiltPackage, work_dir: Path) -> None:
    agent.upload(package)
    answer = agent.install(package)
    assert (answer["package_id"], answer["name"], answer["previous"]) == (package.package_id, "dense", None)
    assert answer["already_installed"] is False
    golden = answer["golden"]
    assert (golden["cases"], golden["unit"], golden["tolerance"]) == (3, "absolute", 1e-4)
    assert 0 <= golden["max_error"] <= 1e-4
    assert golden["top1_agreement"] == 1.0
    assert current(work_dir) == work_dir / "store" / package.package_id
    for path, data in package.files.items():
        assert (current(work_dir) / path).read_bytes() == data
    assert (current(work_dir) / "manifest.json").read_bytes() == package.manifest
    assert (current(work_dir) / "manifest.json.sig").read_bytes() == package.signature
    assert agent.progress[0]["stage"] == "verify"
    assert {step["stage"] for step in agent.progress} == {"verify", "place", "golden", "store"}
    assert agent.ask("installed")["packages"] == [
        {
            "name": "dense",
            "package_id": package.package_id,
            "previous": None,
            "runtime": "system",
            "target": "linux-x86_64",
            "precision": "float32",
        }
    ]


def test_installing_again_checks_again_and_keeps_the_previous_version(
    device: Agent, package: BuiltPackage, build: Build
) -> None:
    assert device.install(package)["already_installed"] is True
    newer = build(provenance={"build": "2"})
    device.upload(newer)
    assert device.install(newer)["previous"] == package.package_id
    again = device.install(newer)
    assert (again["already_installed"], again["previous"]) == (True, package.package_id)


def test_rollback_goes_back_and_forth(
    device: Agent, package: BuiltPackage, build: Build, work_dir: Path
) -> None:
    assert "dense" in fails("no_previous", device, "rollback", name="dense", owner="x")
    newer = build(provenance={"build": "2"})
    device.upload(newer)
    device.install(newer)
    back = device.ask("rollback", name="dense", owner="x")
    assert (back["package_id"], back["previous"]) == (package.package_id, newer.package_id)
    assert current(work_dir).name == package.package_id
    forth = device.ask("rollback", name="dense", owner="x")
    assert (forth["package_id"], forth["previous"]) == (newer.package_id, package.package_id)
    assert current(work_dir).name == newer.package_id


def test_rollback_refuses_a_damaged_version(
    device: Agent, package: BuiltPackage, build: Build, work_dir: Path
) -> None:
    newer = build(provenance={"build": "2"})
    device.upload(newer)
    device.install(newer)
    shared = work_dir / "store" / package.package_id / "labels.txt"
    shared.unlink()
    shared.write_bytes(b"flip\n")
    fails("bad_package", device, "rollback", name="dense", owner="x")
    assert current(work_dir).name == newer.package_id


def test_versions_that_nothing_can_go_back_to_are_removed(
    device: Agent, build: Build, work_dir: Path
) -> None:
    versions = [
        build(provenance={"build": str(number)}, files={"n.txt": bytes([number])}) for number in (2, 3)
    ]
    for version in versions:
        device.upload(version)
        device.install(version)
    assert {path.name for path in (work_dir / "store").iterdir()} == {v.package_id for v in versions}


def test_remove_frees_everything(device: Agent, package: BuiltPackage, work_dir: Path) -> None:
    answer = device.ask("remove", name="dense", owner="x")
    total = sum(map(len, package.files.values())) + len(package.manifest) + len(package.signature)
    assert answer["freed_bytes"] == total
    assert list((work_dir / "store").iterdir()) == []
    assert list((work_dir / "apps").iterdir()) == []
    assert list((work_dir / "blobs").iterdir()) == []
    assert device.ask("installed")["packages"] == []
    assert "Nothing is installed" in fails("not_installed", device, "remove", name="dense", owner="x")
    fails("not_installed", device, "rollback", name="other", owner="x")


def test_two_packages_share_their_contents(device: Agent, build: Build, work_dir: Path) -> None:
    other = build(name="second")
    device.upload(other)
    device.install(other)
    device.ask("remove", name="dense", owner="x")
    model = work_dir / "store" / other.package_id / "model.tflite"
    assert model.stat().st_nlink == 2, "the content is kept once, and shared"
    assert device.install(other)["already_installed"] is True


# What must not be installed


def test_a_failed_install_leaves_the_old_version(
    device: Agent, build: Build, contents: dict[str, bytes], other_key: Key, work_dir: Path
) -> None:
    before = installed_state(work_dir)
    wrong = contents["golden/1.out.bin"][:-4] + np.array([99.0], "<f4").tobytes()
    swapped = np.roll(np.frombuffer(contents["golden/0.out.bin"], "<f4"), 1).tobytes()
    nan = np.full(4, np.nan, "<f4").tobytes()
    cases = {
        "golden_mismatch": build({"golden/1.out.bin": wrong}),
        "golden_mismatch ": build({"golden/0.out.bin": swapped}),
        "golden_mismatch  ": build({"golden/0.out.bin": nan}),
        "bad_package": build({"model.tflite": b"no model at all, but long enough to look"}),
        "bad_package ": build({"golden/0.in.bin": b"short"}),
        "untrusted_signer": build(signer=other_key, provenance={"by": "other"}),
        "runtime_missing": build(runtime={"kind": "litert", "min_version": "999.0"}),
        "runtime_missing ": build(runtime={"kind": "tflite-runtime", "min_version": "2.0"}),
    }
    for code, bad in cases.items():
        device.upload(bad)
        fails(code.strip(), device, "install", **device.install_fields(bad))
        assert installed_state(work_dir) == before, code
    fails("runtime_missing", device, "install", **{**device.install_fields(bad), "runtime": "0" * 64})
    assert installed_state(work_dir) == before


def test_top1_agreement_counts_where_the_tolerance_is_wide(
    agent: Agent, build: Build, contents: dict[str, bytes]
) -> None:
    wide = {"max_error": 1e6, "unit": "absolute", "min_top1_agreement": 0.9, "reason": "test"}
    swapped = np.roll(np.frombuffer(contents["golden/0.out.bin"], "<f4"), 1).tobytes()
    bad = build({"golden/0.out.bin": swapped}, golden_tolerance=wide)
    agent.upload(bad)
    assert "67%" in fails("golden_mismatch", agent, "install", **agent.install_fields(bad))
    fine = build({"golden/0.out.bin": swapped}, golden_tolerance={**wide, "min_top1_agreement": None})
    agent.upload(fine)
    assert agent.install(fine)["golden"]["top1_agreement"] is None


def test_a_signature_of_something_else_is_refused(
    device: Agent, build: Build, key: Key, work_dir: Path
) -> None:
    before = installed_state(work_dir)
    package = build(provenance={"build": "2"})
    for code, signature in {
        "bad_signature": key.sign(b"another manifest"),
        "bad_signature ": key.sign(package.manifest, namespace="git"),
        "bad_signature  ": b"not a signature at all\n",
    }.items():
        package.signature = signature
        device.upload(package)
        fails(code.strip(), device, "install", **device.install_fields(package))
    assert installed_state(work_dir) == before


def test_without_allowed_signers_nothing_is_installed(agent: Agent, package: BuiltPackage) -> None:
    agent.ask("trust.set", allowed_signers="# nobody\n")
    agent.upload(package)
    fails("untrusted_signer", agent, "install", **agent.install_fields(package))
    agent.ask("trust.set", allowed_signers="")
    assert "no allowed signers" in fails(
        "untrusted_signer", agent, "install", **agent.install_fields(package)
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "../model.tflite"},
        {"labels": "/etc/passwd"},
        {"extra": 1},
        {"entries": []},
        {"golden": []},
        {"schema_version": 2},
    ],
)
def test_a_signed_but_wrong_manifest_is_refused(
    agent: Agent, build: Build, changes: dict[str, Any], work_dir: Path
) -> None:
    bad = build(**changes)
    agent.upload(bad)
    fails("bad_package", agent, "install", **agent.install_fields(bad))
    assert installed_state(work_dir) == {}


def test_a_file_that_is_not_as_the_manifest_says(agent: Agent, build: Build, package: BuiltPackage) -> None:
    entries = [{**entry, "size_bytes": entry["size_bytes"] + 1} for entry in package.value["files"]]
    bad = build(entries=entries)
    agent.upload(package)
    agent.put(bad.manifest, bad.signature)
    assert "bytes; the manifest says" in fails("bad_package", agent, "install", **agent.install_fields(bad))


def test_missing_contents_are_named(agent: Agent, package: BuiltPackage) -> None:
    fails("missing_blob", agent, "install", **agent.install_fields(package))
    agent.put(package.manifest, package.signature)
    fails("missing_blob", agent, "install", **agent.install_fields(package))


def test_a_flipped_bit_on_the_disk_is_found_and_healed(
    device: Agent, package: BuiltPackage, work_dir: Path
) -> None:
    model = work_dir / "store" / package.package_id / "model.tflite"
    data = bytearray(model.read_bytes())
    data[100] ^= 1
    model.chmod(0o644)
    model.write_bytes(data)  # the blob is the same file, so it is damaged too
    fails("hash_mismatch", device, "install", **device.install_fields(package))
    blobs = [{"sha256": sha256(d), "size_bytes": len(d)} for d in package.files.values()]
    lacking = device.ask("blobs.missing", blobs=blobs)["missing"]
    assert [blob["sha256"] for blob in lacking] == [sha256(package.files["model.tflite"])]
    device.upload(package)
    assert device.install(package)["already_installed"] is True
    assert model.read_bytes() == package.files["model.tflite"]


# Faults in the middle


@pytest.mark.parametrize("stage", ["verify", "place", "golden", "store"])
def test_kill_in_the_middle_of_an_install_then_heal(
    device: Agent,
    package: BuiltPackage,
    build: Build,
    stage: str,
    start_agent: Callable[..., Agent],
    work_dir: Path,
) -> None:
    newer = build(provenance={"build": "2"})
    device.upload(newer)
    device.send("install", **device.install_fields(newer))
    while device.read().get("stage") != stage:
        pass
    device.kill()
    assert current(work_dir).name in (package.package_id, newer.package_id)
    if stage != "store":
        assert current(work_dir).name == package.package_id
    agent = start_agent()
    assert not list((work_dir / "store").glob("*.new-*"))
    assert not list((work_dir / "tmp").iterdir())
    assert agent.install(newer)["previous"] == package.package_id
    assert current(work_dir).name == newer.package_id


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_an_install_cleanly(
    device: Agent, package: BuiltPackage, build: Build, number: signal.Signals, work_dir: Path
) -> None:
    newer = build(provenance={"build": "2"})
    device.upload(newer)
    before = installed_state(work_dir)
    device.send("install", **device.install_fields(newer))
    while device.read().get("stage") != "golden":
        pass
    device.process.send_signal(number)
    assert device.process.wait(20) == 143
    assert installed_state(work_dir) == before
    assert not (work_dir / "lease.json").exists()


def test_a_host_that_goes_away_in_the_middle_leaves_nothing_half(
    device: Agent, build: Build, start_agent: Callable[..., Agent], work_dir: Path
) -> None:
    newer = build(provenance={"build": "2"})
    device.upload(newer)
    before = installed_state(work_dir)
    device.send("install", **device.install_fields(newer))
    device.process.stdout.close()
    assert device.process.wait(20) == 0
    assert installed_state(work_dir) == before
    assert not (work_dir / "lease.json").exists()
    assert start_agent().install(newer)["already_installed"] is False


def test_two_installs_at_once(
    device: Agent, package: BuiltPackage, build: Build, start_agent: Callable[..., Agent]
) -> None:
    newer = build(provenance={"build": "2"})
    device.upload(newer)
    second = start_agent()
    device.send("install", **device.install_fields(newer))
    while device.read().get("stage") != "golden":
        pass
    os.kill(device.process.pid, signal.SIGSTOP)
    try:
        message = fails("busy", second, "install", **{**second.install_fields(package), "owner": "bob@desk"})
        assert "tester@host is installing a package" in message
        fails("busy", second, "rollback", name="dense", owner="bob@desk")
        fails("busy", second, "remove", name="dense", owner="bob@desk")
        fails("busy", second, "bench.start", name="dense", owner="bob@desk", spec={})
    finally:
        os.kill(device.process.pid, signal.SIGCONT)
    assert device.answer()["package_id"] == newer.package_id
    assert second.install(package)["previous"] == newer.package_id


@pytest.fixture
def small_disk(tmp_path: Path, blank_device: Path) -> Iterator[Path]:
    """A work directory on a file system of 400 KiB."""
    if os.getuid() != 0:
        pytest.skip("mounting a small file system needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk], capture_output=True)
    if done.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted: {done.stderr.decode().strip()}")
    try:
        yield shutil.copytree(blank_device, disk / "device", symlinks=True)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.root
def test_a_full_disk_installs_nothing(
    small_disk: Path, start_agent: Callable[..., Agent], package: BuiltPackage, build: Build
) -> None:
    agent = start_agent(work=small_disk)
    agent.upload(package)
    agent.install(package)
    before = installed_state(small_disk)
    big, small = os.urandom(600_000), b"small"
    with pytest.raises(AgentError) as caught:
        agent.put(big, small)
    assert caught.value.code == "disk_full"
    assert not list((small_disk / "blobs").glob("*.part"))
    assert (small_disk / "blobs" / sha256(small)).is_file(), "what arrived whole is kept"
    newer = build({f"pad/{i}": bytes([i]) * 5000 for i in range(10)})
    agent.upload(newer)
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    fails("disk_full", agent, "install", **agent.install_fields(newer))
    assert installed_state(small_disk) == before
    assert not list((small_disk / "store").glob("*.new-*"))
    filler.unlink()
    assert agent.install(newer)["previous"] == package.package_id


# Runtimes that fail


def test_a_runtime_that_crashes_on_the_model(
    agent: Agent, build: Build, work_dir: Path, tmp_path: Path
) -> None:
    source = """
import ctypes
import ai_edge_litert.interpreter as real
def Interpreter(model_path=None, **options):
    if model_path:
        ctypes.string_at(0)
    return real.Interpreter(**options)
"""
    runtime = install_runtime(agent, runtime_wheel(tmp_path, source))["runtime_id"]
    package = build(runtime={"kind": "tflite-runtime", "min_version": "2.14"})
    agent.upload(package)
    message = fails("runtime_broken", agent, "install", **agent.install_fields(package, runtime))
    assert "SIGSEGV" in message
    assert installed_state(work_dir) == {}


def test_a_runtime_that_miscomputes_is_caught(
    agent: Agent, build: Build, work_dir: Path, tmp_path: Path
) -> None:
    source = """
import ai_edge_litert.interpreter as real
class Interpreter(real.Interpreter):
    wrong = False
    def __init__(self, model_path=None, **options):
        super().__init__(model_path=model_path, **options)
        self.wrong = model_path is not None
    def get_tensor(self, index):
        return super().get_tensor(index) + (0.5 if self.wrong else 0)
"""
    runtime = install_runtime(agent, runtime_wheel(tmp_path, source))["runtime_id"]
    package = build(runtime={"kind": "tflite-runtime", "min_version": "2.14"})
    agent.upload(package)
    message = fails("golden_mismatch", agent, "install", **agent.install_fields(package, runtime))
    assert "0.5" in message
    assert installed_state(work_dir) == {}


def test_tflite_runtime_stands_in_for_litert(
    agent: Agent, build: Build, work_dir: Path, tmp_path: Path
) -> None:
    source = "from ai_edge_litert.interpreter import Interpreter"
    runtime = install_runtime(agent, runtime_wheel(tmp_path, source))["runtime_id"]
    package = build(runtime={"kind": "litert", "min_version": "2.3"})
    agent.upload(package)
    assert agent.ask("install", **agent.install_fields(package, runtime))["golden"]["cases"] > 0
    assert installed_state(work_dir) != {}
