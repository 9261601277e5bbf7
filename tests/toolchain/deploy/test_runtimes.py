"""Choosing and fetching runtimes: real pip, against a folder of small wheels instead of the package index."""

from __future__ import annotations

import os
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgepack.toolchain.deploy import wheels
from edgepack.toolchain.deploy.facts import Facts
from edgepack.toolchain.deploy.inventory import Device
from edgepack.toolchain.deploy.messages import InstalledRuntime
from edgepack.toolchain.deploy.runtimes import choose_runtime, provision
from edgepack.toolchain.errors import DeployError
from edgepack.toolchain.packaging.manifest import RuntimeRequirement

if TYPE_CHECKING:
    from collections.abc import Callable

DEVICE = Device(name="pi", host="pi")
LITERT = RuntimeRequirement(kind="litert", min_version="2.0")
TFLITE = RuntimeRequirement(kind="tflite-runtime", min_version="2.13")
FACTS: dict[str, Any] = {
    "machine": "aarch64",
    "python": {"version": "3.11.2", "executable": "/usr/bin/python3", "abi": "cp311", "bits": 64},
    "libc": {"kind": "glibc", "version": "2.36"},
    "page_bytes": 4096,
}
ARMV7 = FACTS | {"python": FACTS["python"] | {"bits": 32}}  # a 32-bit system on a 64-bit kernel
LIBRARY = next(iter(sorted(Path(np.__file__).parent.rglob("*.so")))).read_bytes()


def facts(base: dict[str, Any] = FACTS, **changes: object) -> Facts:
    return Facts.model_validate(base | changes)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A folder that pip finds wheels in; returns a function that puts one there."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))

    def add(project: str, version: str, tag: str, *, library: bool = False) -> Path:
        path = folder / f"{project}-{version}-{tag}.whl"
        info = f"{project}-{version}.dist-info"
        with zipfile.ZipFile(path, "w") as archive:
            if library:
                archive.writestr(f"{project}/_interpreter_wrapper.so", LIBRARY)
            archive.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n"
            )
            archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
            archive.writestr(f"{info}/RECORD", "")
        return path

    return add


AARCH64 = "cp311-cp311-manylinux_2_27_aarch64"


def test_newest_runtime_with_numpy_and_the_second_time_without_an_index(
    index: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    index("ai_edge_litert", "2.1.0", AARCH64)
    index("ai_edge_litert", "2.3.0", AARCH64)
    index("ai_edge_litert", "2.4.0", AARCH64.replace("aarch64", "x86_64"))
    index("ai_edge_litert", "2.5.0", AARCH64.replace("cp311", "cp312"))
    index("numpy", "2.4.0", "cp311-cp311-manylinux_2_17_aarch64.manylinux2014_aarch64")
    index("numpy", "2.5.0", "cp311-cp311-manylinux_2_41_aarch64")  # beyond the device's glibc
    choice = provision("pi", facts(), LITERT)
    assert (choice.kind, choice.version, choice.numpy, choice.source) == (
        "litert",
        "2.3.0",
        "2.4.0",
        "provisioned",
    )
    assert [blob.size_bytes for blob in choice.blobs()] == [wheel.size_bytes for wheel in choice.wheels]
    assert b"".join(choice.blobs()[0].open()) == choice.wheels[0].path.read_bytes()
    monkeypatch.setattr(wheels, "_run_pip", lambda *_: pytest.fail("pip was called"))
    assert provision("pi", facts(), LITERT) == choice


@pytest.mark.slow
def test_old_answers_are_asked_again_and_stand_when_offline(
    index: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    index("ai_edge_litert", "2.3.0", AARCH64)
    index("numpy", "2.4.0", AARCH64)
    provision("pi", facts(), LITERT)
    for note in (tmp_path / "cache").rglob("wheel.json"):
        os.utime(note, (time.time() - 8 * 24 * 3600,) * 2)
    index("ai_edge_litert", "2.4.0", AARCH64)
    assert provision("pi", facts(), LITERT).version == "2.4.0"
    for note in (tmp_path / "cache").rglob("wheel.json"):
        os.utime(note, (time.time() - 8 * 24 * 3600,) * 2)
    # An index that nobody answers for, as without a network.
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    assert provision("pi", facts(), LITERT).version == "2.4.0"
    monkeypatch.setenv("EDGEPACK_CACHE_DIR", str(tmp_path / "empty"))
    with pytest.raises(DeployError, match="pip could not download 'ai-edge-litert'") as caught:
        provision("pi", facts(), LITERT)
    assert "reaches the package index" in caught.value.remedy


def test_damaged_cache_is_not_used(index: Callable[..., Path], tmp_path: Path) -> None:
    index("ai_edge_litert", "2.3.0", AARCH64)
    index("numpy", "2.4.0", AARCH64)
    first = provision("pi", facts(), LITERT)
    first.wheels[0].path.write_bytes(b"other")
    assert provision("pi", facts(), LITERT) == first


def test_libraries_decide_and_not_the_tag(index: Callable[..., Path]) -> None:
    """The newest wheel's tag promises glibc 2.27; its library needs what this machine's NumPy needs."""
    index("ai_edge_litert", "2.3.0", AARCH64, library=True)
    index("ai_edge_litert", "2.2.0", AARCH64)
    index("numpy", "2.4.0", "cp311-cp311-manylinux_2_17_aarch64")
    old = facts(libc={"kind": "glibc", "version": "2.1"})
    with pytest.raises(
        DeployError, match=r"2.3.0: _interpreter_wrapper.so needs GLIBC_2\S+; the device has GLIBC_2.1"
    ):
        provision(
            "pi",
            facts(libc={"kind": "glibc", "version": "2.1"}, page_bytes=1 << 20),
            RuntimeRequirement(kind="litert", min_version="2.3"),
        )
    assert provision("pi", old, LITERT).version == "2.2.0"


def test_every_reason_is_told(
    index: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    index("ai_edge_litert", "1.4.0", AARCH64)
    with pytest.raises(DeployError) as caught:
        provision("pi", facts(), LITERT)
    assert "litert 1.4.0: the package needs 2.0 or later" in caught.value.message
    index("ai_edge_litert", "2.3.0", AARCH64)
    monkeypatch.setenv("EDGEPACK_CACHE_DIR", str(tmp_path / "empty"))
    with pytest.raises(DeployError, match=r"numpy: no wheel for Python 3.11 on linux_aarch64"):
        provision("pi", facts(), LITERT)


def test_32_bit_board_uses_its_own_numpy(index: Callable[..., Path]) -> None:
    index("tflite_runtime", "2.14.0", "cp311-cp311-manylinux_2_34_armv7l")
    choice = provision("pi", facts(ARMV7, system_numpy="1.24.2"), TFLITE)
    assert (choice.kind, choice.version, choice.numpy, len(choice.wheels)) == (
        "tflite-runtime",
        "2.14.0",
        "1.24.2",
        1,
    )
    for numpy in (None, "2.2.0"):
        with pytest.raises(DeployError, match="numpy<2: no wheel") as caught:
            provision("pi", facts(ARMV7, system_numpy=numpy), TFLITE)
    with pytest.raises(DeployError) as caught:
        provision("pi", facts(ARMV7), TFLITE)
    assert "apt install python3-numpy" in caught.value.remedy
    with pytest.raises(DeployError) as caught:
        provision("pi", facts(ARMV7), LITERT)
    assert "--target rpi-armv7" in caught.value.remedy


def test_numpy_of_tflite_runtime_is_older_than_2(index: Callable[..., Path]) -> None:
    index("tflite_runtime", "2.14.0", "cp311-cp311-manylinux2014_x86_64")
    index("numpy", "1.26.4", "cp311-cp311-manylinux2014_x86_64")
    index("numpy", "2.4.0", "cp311-cp311-manylinux2014_x86_64")
    assert provision("pc", facts(machine="x86_64"), TFLITE).numpy == "1.26.4"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"libc": {"kind": "musl", "version": "1.2.4"}}, "musl"),
        ({"libc": {"kind": "bionic", "version": None}}, "Android"),
        ({"libc": {"kind": None, "version": None}}, "unknown C library"),
        ({"machine": "riscv64"}, "'riscv64'"),
        ({"machine": "armv6l"}, "'armv6l'"),
    ],
)
def test_systems_without_wheels(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(DeployError, match=expected) as caught:
        provision("pi", facts(**changes), LITERT)
    assert 'runtime = "system"' in caught.value.remedy


def installed(version: str | None, kind: str = "litert", fill: str = "a") -> InstalledRuntime:
    return InstalledRuntime.model_validate({"runtime_id": fill * 64, "kind": kind, "version": version})


def test_what_the_device_has_comes_first() -> None:
    have = [installed("2.1.0"), installed("2.3.0", fill="b"), installed("2.14.0", "tflite-runtime", "c")]
    choice = choose_runtime(DEVICE, facts(), have, LITERT)
    assert (choice.version, choice.source, choice.wheels) == ("2.3.0", "installed", ())
    assert choose_runtime(DEVICE, facts(), have, TFLITE).runtime_id == "c" * 64


def test_system_runtime() -> None:
    device = DEVICE.model_copy(update={"runtime": "system"})
    has = facts(system_runtime={"kind": "litert", "version": "2.1.0", "numpy": "2.0.0"})
    choice = choose_runtime(device, has, [installed("2.3.0")], LITERT)
    assert (choice.runtime_id, choice.version, choice.source) == ("system", "2.1.0", "system")
    for required, lacking in ((RuntimeRequirement(kind="litert", min_version="2.3"), has), (LITERT, facts())):
        with pytest.raises(DeployError, match="the package needs litert"):
            choose_runtime(device, lacking, [], required)


def test_system_runtime_stands_in_where_no_wheel_fits() -> None:
    has = facts(libc={"kind": "musl", "version": "1.2"}, system_runtime={"kind": "litert", "version": None})
    choice = choose_runtime(DEVICE, has, [], LITERT)
    assert (choice.source, choice.version) == ("system", None)
    assert "musl" in (choice.note or "")
    with pytest.raises(DeployError, match=r"needs tflite-runtime 2.13 or later.*musl"):
        choose_runtime(DEVICE, has, [], TFLITE)


OLD = {"kind": "glibc", "version": "2.1"}  # older than what this machine's NumPy, put in for a runtime, needs


@pytest.mark.slow
def test_tflite_runtime_stands_in_where_no_litert_fits(index: Callable[..., Path]) -> None:
    index("ai_edge_litert", "2.3.0", AARCH64, library=True)
    index("tflite_runtime", "2.14.0", "cp311-cp311-manylinux_2_34_aarch64")
    index("numpy", "1.26.4", "cp311-cp311-manylinux_2_17_aarch64")
    index("numpy", "2.4.0", "cp311-cp311-manylinux_2_17_aarch64")
    choice = choose_runtime(DEVICE, facts(libc=OLD), [], LITERT)
    assert (choice.kind, choice.version, choice.numpy, choice.source) == (
        "tflite-runtime", "2.14.0", "1.26.4", "provisioned",
    )  # fmt: skip
    assert "needs GLIBC_2" in (choice.note or "")
    assert choose_runtime(DEVICE, facts(), [], LITERT).kind == "litert"
    # The second time it is on the device already.
    again = choose_runtime(DEVICE, facts(libc=OLD), [installed("2.14.0", "tflite-runtime", "c")], LITERT)
    assert (again.kind, again.runtime_id, again.source) == ("tflite-runtime", "c" * 64, "installed")
    system = facts(libc=OLD, system_runtime={"kind": "tflite-runtime", "version": "2.14.0"})
    assert choose_runtime(DEVICE, system, [], LITERT).source == "system"


@pytest.mark.slow
def test_both_refusals_are_told(index: Callable[..., Path]) -> None:
    index("ai_edge_litert", "2.3.0", AARCH64, library=True)
    index("tflite_runtime", "2.14.0", "cp311-cp311-manylinux_2_34_aarch64", library=True)
    with pytest.raises(DeployError) as caught:
        choose_runtime(DEVICE, facts(libc=OLD), [], LITERT)
    for expected in ("No litert fits pi", "No tflite-runtime fits pi", "the device has GLIBC_2.1"):
        assert expected in caught.value.message
    with pytest.raises(DeployError) as caught:  # nothing stands in for tflite-runtime
        choose_runtime(DEVICE, facts(libc=OLD), [], TFLITE)
    assert "litert fits" not in caught.value.message


def test_unreachable_index_is_no_reason_for_a_stand_in(
    monkeypatch: pytest.MonkeyPatch, index: Callable[..., Path]
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(DeployError, match="pip could not download 'ai-edge-litert'"):
        choose_runtime(DEVICE, facts(), [installed("2.14.0", "tflite-runtime")], LITERT)
