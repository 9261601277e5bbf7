from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgepack.toolchain.deploy.facts import Facts
from edgepack.toolchain.deploy.wheel_needs import Need, misfit, needs_of, version_key
from edgepack.toolchain.errors import DeployError

FACTS = {
    "machine": "aarch64",
    "python": {"version": "3.11.2", "executable": "/usr/bin/python3", "abi": "cp311", "bits": 64},
    "libc": {"kind": "glibc", "version": "2.31"},
    "libstdcxx": {"glibcxx": "3.4.28", "cxxabi": "1.3.12"},
    "page_bytes": 16384,
}


def facts(**changes: object) -> Facts:
    return Facts.model_validate(FACTS | changes)


@pytest.mark.parametrize(
    ("need", "reason"),
    [
        (Need("a.so", "GLIBC", "2.31"), None),
        (Need("a.so", "GLIBC", "2.4"), None),
        (Need("a.so", "GLIBC", "2.34"), "a.so needs GLIBC_2.34; the device has GLIBC_2.31"),
        (Need("a.so", "GLIBCXX", "3.4.30"), "a.so needs GLIBCXX_3.4.30; the device has GLIBCXX_3.4.28"),
        (Need("a.so", "CXXABI", "1.3.13"), "a.so needs CXXABI_1.3.13; the device has CXXABI_1.3.12"),
        (Need("a.so", "page size", "65536"), None),
        (Need("a.so", "page size", "4096"), "a.so allows pages of 4096 bytes, the device has 16384"),
    ],
)
def test_misfit(need: Need, reason: str | None) -> None:
    assert misfit((need,), facts()) == reason


def test_unknown_facts_speak_against_nothing() -> None:
    needs = (Need("a.so", "GLIBCXX", "9.9"), Need("a.so", "page size", "1"), Need("a.so", "GLIBC", "9"))
    assert misfit(needs, facts(libstdcxx=None, page_bytes=None, libc={"kind": None, "version": None})) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads this machine's ELF libraries")
def test_reads_real_libraries(tmp_path: Path) -> None:
    """NumPy's own libraries run here, so what they need is at most what this machine has."""
    import platform

    folder = Path(np.__file__).parent
    wheel = tmp_path / "numpy-1-cp311-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in sorted(folder.rglob("*.so"))[:12]:
            archive.write(path, str(path.relative_to(folder.parent)))
        archive.writestr("numpy/readme.txt", "no library")
    needs = {need.family: need for need in needs_of(wheel)}
    assert version_key("2.2") <= version_key(needs["GLIBC"].version) <= version_key(platform.libc_ver()[1])
    assert int(needs["page size"].version) in (4096, 16384, 65536)


def test_wheel_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.whl"
    path.write_bytes(b"PK nonsense")
    with pytest.raises(DeployError, match="cannot be read"):
        needs_of(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/a.so", b"\x7fELF nonsense")
    with pytest.raises(DeployError, match="cannot be read"):
        needs_of(path)


def test_version_key() -> None:
    assert version_key("2.34") > version_key("2.4") > version_key("2")
    assert version_key("3.4.30rc1") == (3, 4, 30)
    assert version_key("none") == ()
