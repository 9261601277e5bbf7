"""What goes wrong when a package goes to a device: the error a user sees, and that nothing is lost by it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.forged import flip_bit, padded, sign_again, with_wrong_golden_outputs
from tests.end_to_end.relay import Relay
from tests.end_to_end.shell import leftovers, ssh_device, write_lab
from tests.sshd import Sshd, free_port, make_key, needs_sshd

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Packages
    from tests.end_to_end.shell import Answer, Shell

BIG_BYTES = 24 << 20


class Pi:
    """A device over a real sshd that trusts the user's key, and what is current on it."""

    def __init__(self, shell: Shell, server: Sshd, name: str = "pi", **fields: object) -> None:
        self.shell, self.server, self.name = shell, server, name
        self.work_dir = shell.folder / f"device-{name}"
        self.fields = ssh_device(server, self.work_dir, **fields)
        write_lab(shell.folder / "lab.toml", **{name: self.fields})
        (shell.folder / "known_hosts").write_text(self.host_key_line())
        shell.edgepack("devices", "trust", name).ok()

    def host_key_line(self) -> str:
        kind, key, *_ = (self.server.folder / "host_key.pub").read_text().split()
        return f"[{self.fields['host']}]:{self.fields['port']} {kind} {key}\n"

    def deploy(self, package: Path, *more: str) -> Answer:
        return self.shell.edgepack("deploy", package, "--device", self.name, "--json", *more)

    def current(self, name: str = "cnn") -> str | None:
        """The version in use, as the file system says."""
        link = self.work_dir / "apps" / name / "current"
        return link.readlink().name if link.is_symlink() else None

    def check_heals(self, packages: Packages) -> None:
        """Deploying the new version now works, and nothing half-made is left."""
        done = self.deploy(packages.new).ok().document["deployments"][0]
        assert self.current() == done["package_id"]
        assert leftovers(self.work_dir) == []


@pytest.fixture
def pi(shell: Shell, sshd: Sshd) -> Pi:
    return Pi(shell, sshd)


pytestmark = needs_sshd


def test_versions_come_and_go(pi: Pi, packages: Packages) -> None:
    old = pi.deploy(packages.old).ok().document["deployments"][0]
    assert (old["device"], old["previous"], old["already_installed"]) == ("pi", None, False)
    new = pi.deploy(packages.new).ok().document["deployments"][0]
    assert new["previous"] == old["package_id"]
    assert pi.current() == new["package_id"]
    again = pi.deploy(packages.new).ok().document["deployments"][0]
    assert (again["already_installed"], again["sent_bytes"]) == (True, 0)
    back = pi.shell.edgepack("rollback", "cnn", "--device", "pi", "--json").ok().document
    assert [entry["package_id"] for entry in back["rolled_back"]] == [old["package_id"]]
    assert pi.current() == old["package_id"]
    plan = pi.deploy(packages.new, "--dry-run").ok().document[0]
    assert (plan["current"], plan["package_id"]) == (old["package_id"], new["package_id"])
    assert pi.current() == old["package_id"]
    pi.shell.edgepack("rollback", "nothing", "--device", "pi").failed(9, "nothing")


def test_flipped_bit(pi: Pi, packages: Packages, tmp_path: Path) -> None:
    old = pi.deploy(packages.old).ok().document["deployments"][0]
    damaged = flip_bit(packages.new, tmp_path / "damaged.epk")
    pi.shell.edgepack("verify", damaged).failed(7, "damaged.epk", "edgepack build")
    failure = pi.deploy(damaged).failed(7, "damaged").document["failures"][0]
    assert failure["exit_code"] == 7 and failure["remedy"]
    assert pi.current() == old["package_id"]
    pi.check_heals(packages)


def test_unsigned(pi: Pi, packages: Packages, tmp_path: Path) -> None:
    import zipfile

    stripped = tmp_path / "unsigned.epk"
    with zipfile.ZipFile(packages.new) as source, zipfile.ZipFile(stripped, "w") as target:
        for entry in source.infolist():
            if not entry.filename.endswith(".sig"):
                target.writestr(entry, source.read(entry))
    pi.shell.edgepack("verify", stripped).failed(7, "unsigned.epk")
    pi.deploy(stripped).failed(7, "unsigned.epk")
    assert pi.current() is None


def test_untrusted_key(pi: Pi, packages: Packages, keys: Path, tmp_path: Path) -> None:
    old = pi.deploy(packages.old).ok().document["deployments"][0]
    foreign = sign_again(packages.new, keys / "stranger", tmp_path / "foreign.epk")
    pi.shell.edgepack("verify", foreign).failed(7)
    pi.deploy(foreign).failed(9, "allowed signers", "edgepack devices trust")
    assert pi.current() == old["package_id"]
    pi.check_heals(packages)


def test_golden_outputs_that_do_not_match(pi: Pi, packages: Packages, keys: Path, tmp_path: Path) -> None:
    old = pi.deploy(packages.old).ok().document["deployments"][0]
    lying = with_wrong_golden_outputs(packages.new, keys / "own", tmp_path / "lying.epk")
    pi.shell.edgepack("verify", lying).ok()
    pi.deploy(lying).failed(9, "Golden case 0", "probabilities")
    assert pi.current() == old["package_id"]
    assert [path.name for path in (pi.work_dir / "store").iterdir()] == [old["package_id"]]
    pi.check_heals(packages)


def test_unknown_host_key(pi: Pi, packages: Packages) -> None:
    (pi.shell.folder / "known_hosts").unlink()
    pi.deploy(packages.old).failed(8, "edgepack devices trust pi")
    assert pi.current() is None
    wrong = pi.shell.edgepack("devices", "trust", "pi", "--fingerprint", "SHA256:" + "A" * 43)
    wrong.failed(8, "expected SHA256:AAAA")
    pi.shell.edgepack("devices", "trust", "pi").failed(8, "no terminal", "--fingerprint")
    shown = pi.shell.edgepack("devices", "trust", "pi", "--yes", "--json").ok().document
    public = pi.server.folder / "host_key.pub"
    command = ["ssh-keygen", "-lf", str(public)]
    assert shown["host_key"] == subprocess.run(command, capture_output=True, text=True).stdout.split()[1]
    pi.deploy(packages.old).ok()


def test_changed_host_key(pi: Pi, packages: Packages, tmp_path: Path) -> None:
    kind, key, *_ = make_key(tmp_path / "other").with_suffix(".pub").read_text().split()
    (pi.shell.folder / "known_hosts").write_text(f"[{pi.server.address}]:{pi.server.port} {kind} {key}\n")
    pi.deploy(packages.old).failed(8, "host key")
    assert pi.current() is None


def test_refused_login_key(shell: Shell, sshd: Sshd, pi: Pi, packages: Packages, tmp_path: Path) -> None:
    fields = {**pi.fields, "identity_file": str(make_key(tmp_path / "unknown"))}
    write_lab(shell.folder / "lab.toml", pi=fields)
    pi.deploy(packages.old).failed(8, "pi")


def test_no_python(pi: Pi, packages: Packages) -> None:
    write_lab(pi.shell.folder / "lab.toml", pi={**pi.fields, "python": "/none/python3"})
    pi.deploy(packages.old).failed(8, "no Python at '/none/python3'", "apt install python3")


def test_nobody_answers(pi: Pi, packages: Packages) -> None:
    fields = {**pi.fields, "port": free_port(), "connect_timeout_s": 2}
    write_lab(pi.shell.folder / "lab.toml", pi=fields)
    pi.deploy(packages.old, "--attempts", "1").failed(8, "pi")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_full_disk(pi: Pi, packages: Packages, keys: Path, tmp_path: Path) -> None:
    pi.deploy(packages.old).ok()
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(small)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount here: {mounted.stderr.decode().strip()}")
    try:
        pi.work_dir = small / "device"
        write_lab(pi.shell.folder / "lab.toml", pi={**pi.fields, "work_dir": str(pi.work_dir)})
        pi.shell.edgepack("devices", "trust", "pi").ok()
        old = pi.deploy(packages.old).ok().document["deployments"][0]
        large = padded(packages.new, keys / "own", tmp_path / "large.epk", size_bytes=16 << 20)
        pi.deploy(large).failed(9, "free", "work_dir")
        assert pi.current() == old["package_id"]
        # There is room when it is asked, and none any more when it is needed.
        (small / "other").write_bytes(b"x" * (os.statvfs(small).f_bavail * 4096 - (40 << 10)))
        failed = pi.deploy(packages.new)
        assert failed.code == 9, failed
        assert pi.current() == old["package_id"]
        (small / "other").unlink()
        pi.check_heals(packages)
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_two_deploys_at_once(pi: Pi, packages: Packages, keys: Path, tmp_path: Path) -> None:
    """The second is refused with the name of the first, or comes after it; never both at once."""
    first = pi.shell.running("deploy", packages.old, "--device", "pi", "--json")
    with first as running:
        running.wait_for(lambda: list(pi.work_dir.glob("store/*.new-*")))
        second = pi.deploy(packages.new)
        answer = running.end()
    answer.ok()
    if second.code:
        second.failed(9, "pi")
        assert second.document["failures"][0]["kind"] == "AgentError"
    pi.check_heals(packages)


@pytest.fixture
def cut_pi(shell: Shell, sshd: Sshd):
    """A device behind a relay that can cut the link."""
    with Relay.to(sshd.address, sshd.port) as relay:
        yield Pi(shell, sshd, host="127.0.0.1", port=relay.port), relay


@pytest.fixture
def big(packages: Packages, keys: Path, tmp_path: Path) -> Path:
    return padded(packages.new, keys / "own", tmp_path / "big.epk", size_bytes=BIG_BYTES)


def test_upload_that_was_cut_goes_on(cut_pi: tuple[Pi, Relay], packages: Packages, big: Path) -> None:
    pi, relay = cut_pi
    old = pi.deploy(packages.old).ok().document["deployments"][0]
    relay.cut_after(BIG_BYTES // 2)
    pi.deploy(big, "--attempts", "1").failed(8, "pi")
    assert pi.current() == old["package_id"]
    done = pi.deploy(big).ok().document["deployments"][0]
    assert 0 < done["sent_bytes"] < BIG_BYTES * 0.7, "the upload began anew"
    assert pi.current() == done["package_id"]
    assert leftovers(pi.work_dir) == []


def test_cut_upload_is_tried_again_by_itself(cut_pi: tuple[Pi, Relay], big: Path) -> None:
    pi, relay = cut_pi
    relay.cut_after(BIG_BYTES // 2)
    done = pi.deploy(big).ok()
    assert pi.current() == done.document["deployments"][0]["package_id"]
    assert relay.sent < BIG_BYTES * 1.3


def test_agent_killed_while_it_installs(pi: Pi, packages: Packages) -> None:
    old = pi.deploy(packages.old).ok().document["deployments"][0]
    with pi.shell.running("deploy", packages.new, "-d", "pi", "--attempts", "1", "--json") as running:
        running.wait_for(lambda: list(pi.work_dir.glob("store/*.new-*")))
        (folder,) = pi.work_dir.glob("store/*.new-*")
        os.kill(int(folder.name.rpartition("-")[2]), signal.SIGKILL)
        running.end().failed(9, "pi: the agent was killed")
    assert pi.current() == old["package_id"]
    pi.check_heals(packages)


def test_one_dead_device_of_four(pi: Pi, packages: Packages) -> None:
    live = {
        name: {**pi.fields, "work_dir": str(pi.shell.folder / name), "groups": ["desk"]}
        for name in ("a", "b", "c")
    }
    dead = {**pi.fields, "port": free_port(), "groups": ["desk"], "connect_timeout_s": 2}
    write_lab(pi.shell.folder / "lab.toml", **live, dead=dead)
    for name in live:
        pi.shell.edgepack("devices", "trust", name).ok()
    done = pi.shell.edgepack("deploy", packages.old, "--group", "desk", "--attempts", "1", "--json")
    assert done.code == 8
    document = done.document
    assert sorted(each["device"] for each in document["deployments"]) == ["a", "b", "c"]
    assert [each["device"] for each in document["failures"]] == ["dead"]
    for name in live:
        assert (pi.shell.folder / name / "apps/cnn/current").is_symlink()
    assert "1 of 4 devices failed" in done.err


def test_check_says_what_a_device_has_and_lacks(shell: Shell, sshd: Sshd) -> None:
    fields = ssh_device(sshd, shell.folder / "device", target="rpi-armv7")
    write_lab(shell.folder / "lab.toml", pi=fields)
    shell.edgepack("devices", "check", "--device", "pi").failed(8, "edgepack devices trust pi")
    (shell.folder / "known_hosts").write_text(sshd.known_hosts.read_text())
    checked = shell.edgepack("devices", "check", "--device", "pi", "--json").ok().document["devices"][0]
    assert checked["facts"]["python"]["version"].startswith("{}.{}".format(*sys.version_info))
    assert any("trusts no signer" in each["what"] for each in checked["findings"])
    assert any("rpi-armv7" in each["what"] for each in checked["findings"])
    shell.edgepack("devices", "trust", "pi").ok()
    again = shell.edgepack("devices", "check", "--device", "pi", "--json").ok().document["devices"][0]
    assert not any(each["level"] == "missing" for each in again["findings"])
    listed = json.loads(shell.edgepack("devices", "list", "--json").ok().out)
    assert [each["name"] for each in listed] == ["pi", "local"]
