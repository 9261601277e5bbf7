"""The inventory's devices through the functions that the command line calls, over a real sshd."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from edgepack.targets.errors import TargetError
from edgepack.toolchain.deploy.connection import Cancellation
from edgepack.toolchain.deploy.inventory import load_lab
from edgepack.toolchain.devices import (
    accept_host_key,
    add_device,
    check_device,
    remove_device,
    scan_device,
    trust_signer,
)
from edgepack.toolchain.errors import HostKeyError, ProjectError
from tests.sshd import Sshd, needs_sshd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIN+nq0a1aEbGlyQ32JnwMfF68JVQgkrAMZ+w+iwwdPNL"
ANN = f'ann namespaces="edgepack" ssh-ed25519 {KEY}'
BOB = ANN.replace("ann", "bob", 1).replace("wwdPNL", "wwdPNM")


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("EDGEPACK_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EDGEPACK_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with Sshd.start(tmp_path_factory.mktemp("sshd") / "server") as server:
        yield server


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    return tmp_path / "lab.toml"


def add(lab: Path, server: Sshd, name: str = "pi") -> None:
    login = {"host": server.address, "port": server.port, "identity_file": str(server.identity)}
    place = {"work_dir": str(lab.parent / name), "python": sys.executable, "user": None}
    add_device(name, groups=("desk",), lab=lab, target="rpi", **login, **place)


def test_add_and_remove(lab: Path) -> None:
    lab.write_text("# my devices\n")
    path, device = add_device("pi", groups=("desk",), lab=lab, host="pi.local", target="rpi4", port=None)
    assert path == lab
    assert (device.host, device.target, device.groups, device.port) == ("pi.local", "rpi4", ("desk",), None)
    assert load_lab(lab).device("pi") == device
    with pytest.raises(ProjectError, match="pi"):
        add_device("pi", groups=(), lab=lab, host="other")
    with pytest.raises(TargetError, match="rpi44"):
        add_device("pi2", groups=(), lab=lab, host="other", target="rpi44")
    with pytest.raises(ProjectError, match="nothing"):
        remove_device("nothing", lab=lab)
    assert remove_device("pi", lab=lab) == lab
    assert "# my devices" in lab.read_text()
    assert [each.name for each in load_lab(lab).devices] == ["local"]


@needs_sshd
def test_host_key_is_shown_then_accepted(lab: Path, server: Sshd) -> None:
    add(lab, server)
    shown = scan_device("pi", lab=lab)
    assert shown is not None and not shown.known
    assert shown.algorithm == "ssh-ed25519"
    with pytest.raises(HostKeyError, match="expected SHA256:other"):
        accept_host_key("pi", shown, expected="SHA256:other", lab=lab)
    assert not scan_device("pi", lab=lab).known
    accept_host_key("pi", shown, expected=shown.fingerprint, lab=lab)
    assert scan_device("pi", lab=lab).known


def test_this_machine_has_no_host_key(lab: Path) -> None:
    lab.write_text("")
    assert scan_device("local", lab=lab) is None


def test_signers_are_added_once_and_replaced_on_demand(lab: Path) -> None:
    lab.write_text(f'[devices.here]\nkind = "local"\nwork_dir = "{lab.parent / "here"}"\n')
    assert trust_signer("here", ANN, replace=False, lab=lab).splitlines() == [ANN]
    assert trust_signer("here", ANN.replace("ann", "anna", 1), replace=False, lab=lab).count("\n") == 1
    assert len(trust_signer("here", BOB, replace=False, lab=lab).splitlines()) == 2
    assert trust_signer("here", BOB, replace=True, lab=lab).splitlines() == [BOB]


def test_check_finds_what_this_machine_is(lab: Path) -> None:
    lab.write_text(f'[devices.here]\nkind = "local"\nwork_dir = "{lab.parent / "here"}"\n')
    loaded = load_lab(lab)
    check = check_device(loaded.device("here"), loaded, Cancellation())
    assert check.facts.machine == os.uname().machine
    assert check.installed == ()
    assert any("trusts no signer" in finding.what for finding in check.findings)
