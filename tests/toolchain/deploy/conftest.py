"""A folder and an environment of its own for each test, a real sshd, and a small signed package."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgepack.converters.artifacts import Provenance, QuantizedModel, sha256_of
from edgepack.targets.registry import find_target
from edgepack.toolchain.deploy.inventory import Device, Lab
from edgepack.toolchain.packaging.pack import pack
from edgepack.toolchain.packaging.signature import allowed_signers_line, create_key, public_key
from tests.sshd import Sshd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.toolchain.packaging.archive import Package


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the user's own keys, configuration and state out of the tests; returns the home folder."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    for name in [name for name in os.environ if name.startswith(("EDGEPACK_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("EDGEPACK_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("EDGEPACK_CACHE_DIR", str(tmp_path / "cache"))
    return home


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A server that all tests share; each test names a work_dir of its own."""
    with Sshd.start(tmp_path_factory.mktemp("sshd") / "server") as server:
        yield server


@pytest.fixture
def local(tmp_path: Path) -> Device:
    """This machine as a device, with an empty work_dir."""
    return Device(name="local", kind="local", work_dir=str(tmp_path / "device"))


@pytest.fixture
def lab(tmp_path: Path, local: Device) -> Lab:
    """An inventory of the local device."""
    return Lab(path=None, devices=(local,), known_hosts=tmp_path / "known_hosts")


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key that signs packages."""
    key = tmp_path_factory.mktemp("keys") / "key"
    create_key(key)
    return key


@pytest.fixture(scope="session")
def signers(signing_key: Path) -> str:
    """The allowed signers that trust `signing_key`."""
    return allowed_signers_line(public_key(signing_key), "edgepack")


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory, signing_key: Path) -> Package:
    """A signed package of a model of one addition."""
    from edgepack.device_agent.runners.probe_model import PROBE_MODEL

    folder = tmp_path_factory.mktemp("package")
    model = folder / "add.tflite"
    model.write_bytes(PROBE_MODEL)
    sha256 = sha256_of(model)
    quantized = QuantizedModel("add", model, sha256, "float32", Provenance("import", {"model": sha256}))
    return pack(
        quantized, name="add", target=find_target("linux-x86_64"), samples=None, evaluation=None,
        verification=None, preprocessing={}, key=signing_key, path=folder / "add.epk",
    )  # fmt: skip
