"""Everything about SSH, against a real sshd."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgepack.toolchain.deploy import known_hosts
from edgepack.toolchain.deploy.connection import connect, run
from edgepack.toolchain.deploy.inventory import Device, Lab
from edgepack.toolchain.deploy.ssh import scan_host_key
from edgepack.toolchain.errors import DeployError, HostKeyError, NetworkError, ProjectError
from tests.sshd import Sshd, free_port, make_key, needs_sshd

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_sshd


def login(device: Device, lab: Lab) -> bytes:
    """Log in and return what the device says."""
    connection = connect(device, lab)
    try:
        return run(connection, ["echo", "it's $HOME; here"], timeout_s=10).stdout
    finally:
        connection.close()
        connection.close()


GREETING = b"it's $HOME; here\n"


def test_arguments_arrive_as_they_are(sshd: Sshd) -> None:
    assert login(sshd.device(), sshd.lab()) == GREETING


def test_streams_status_and_stderr(sshd: Sshd) -> None:
    connection = connect(sshd.device(), sshd.lab())
    try:
        done = run(connection, ["sh", "-c", "head -c 3; echo why >&2; exit 7"], data=b"abcdef", timeout_s=10)
        assert (done.status, done.stdout, done.stderr) == (7, b"abc", "why\n")
        # More on stderr than SSH's window holds: it must be read while stdout is waited for.
        noisy = "head -c 20000000 /dev/zero >&2; echo done; echo last >&2"
        done = run(connection, ["sh", "-c", noisy], timeout_s=30)
        assert (done.stdout, done.stderr[-5:]) == (b"done\n", "last\n")
        killed = run(connection, ["sh", "-c", "kill -9 $$"], timeout_s=10)
        assert killed.status is None
        with pytest.raises(NetworkError, match=r"silent for 0\.3 s"):
            run(connection, ["sleep", "60"], timeout_s=0.3)
        ended = run(connection, ["false"], data=b"x" * 8_000_000, timeout_s=10)
        assert ended.status == 1
    finally:
        connection.close()


def test_unknown_host_key(sshd: Sshd, tmp_path: Path) -> None:
    lab = Lab(path=None, devices=(), known_hosts=tmp_path / "none")
    with pytest.raises(HostKeyError, match="not known") as caught:
        login(sshd.device(), lab)
    assert "`edgepack devices trust pi`" in caught.value.remedy


def test_trusting_a_device(sshd: Sshd, tmp_path: Path) -> None:
    lab = Lab(path=None, devices=(), known_hosts=tmp_path / "mine")
    name, key = scan_host_key(sshd.device(), lab)
    public = (sshd.folder / "host_key.pub").read_text()
    shown = subprocess.run(["ssh-keygen", "-lf", "-"], input=public, capture_output=True, text=True).stdout
    assert key.fingerprint in shown
    known_hosts.trust(lab.known_hosts, name, key)
    assert login(sshd.device(), lab) == GREETING


def test_changed_host_key(sshd: Sshd, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text()
    file = tmp_path / "known"
    file.write_text(f"{known_hosts.host_name(sshd.address, sshd.port)} {other}")
    with pytest.raises(HostKeyError, match="another key is known") as caught:
        login(sshd.device(), Lab(path=None, devices=(), known_hosts=file))
    assert f"{file}:1" in caught.value.message


def test_known_key_of_another_kind_is_asked_for(tmp_path: Path) -> None:
    rsa = make_key(tmp_path / "rsa", kind="rsa")
    with Sshd.start(tmp_path / "server", options=(f"HostKey {rsa}",)) as server:
        public = rsa.with_suffix(".pub").read_text()
        server.known_hosts.write_text(f"{known_hosts.host_name(server.address, server.port)} {public}")
        assert login(server.device(), server.lab()) == GREETING


def test_refused_key(sshd: Sshd, tmp_path: Path) -> None:
    device = sshd.device(identity_file=str(make_key(tmp_path / "stranger")))
    with pytest.raises(DeployError, match="refused the login with each of 1 keys") as caught:
        login(device, sshd.lab())
    assert not isinstance(caught.value, NetworkError)
    assert "ssh-copy-id" in caught.value.remedy


def test_locked_key(sshd: Sshd, tmp_path: Path) -> None:
    device = sshd.device(identity_file=str(make_key(tmp_path / "locked", passphrase="secret")))
    with pytest.raises(DeployError, match="1 more are locked") as caught:
        login(device, sshd.lab())
    assert "ssh-add" in caught.value.remedy


@pytest.fixture
def ssh_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real ssh-agent, which tests load keys into."""
    path = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    while not path.exists():
        time.sleep(0.01)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    yield
    process.terminate()
    process.wait(10)


@pytest.mark.usefixtures("ssh_agent")
def test_key_of_the_agent(sshd: Sshd, tmp_path: Path) -> None:
    device = sshd.device(identity_file=None)
    with pytest.raises(DeployError, match="refused"):
        login(device, sshd.lab())
    subprocess.run(["ssh-add", "-q", str(sshd.identity)], check=True)
    assert login(device, sshd.lab()) == GREETING


@pytest.mark.usefixtures("ssh_agent")
def test_locked_key_that_the_agent_holds(sshd: Sshd, own_environment: Path) -> None:
    """`IdentitiesOnly` and a locked file: the agent's key counts if its public half lies beside the file."""
    subprocess.run(["ssh-add", "-q", str(sshd.identity)], check=True)
    locked = make_key(own_environment / ".ssh" / "locked", passphrase="secret")
    config = own_environment / ".ssh" / "config"
    config.write_text(f"Host *\n IdentitiesOnly yes\n IdentityFile {locked}\n")
    device = sshd.device(identity_file=None)
    with pytest.raises(DeployError, match="locked"):
        login(device, sshd.lab())
    public = sshd.identity.with_suffix(".pub").read_text()
    locked.with_suffix(".pub").write_text(public)
    assert login(device, sshd.lab()) == GREETING


def test_ssh_config_is_honoured(sshd: Sshd, own_environment: Path) -> None:
    config = own_environment / ".ssh" / "config"
    config.write_text(
        f"Host kitchen\n HostName {sshd.address}\n Port {sshd.port}\n IdentityFile {sshd.identity}\n"
        f" UserKnownHostsFile {sshd.known_hosts}\n"
    )
    lab = Lab(path=None, devices=(), known_hosts=own_environment / "none")
    assert login(Device(name="pi", host="kitchen"), lab) == GREETING


def test_jump_host(sshd: Sshd, tmp_path: Path, own_environment: Path) -> None:
    with Sshd.start(tmp_path / "gate", identity=sshd.identity) as gate:
        known = tmp_path / "known"
        known.write_text(sshd.known_hosts.read_text() + gate.known_hosts.read_text())
        config = own_environment / ".ssh" / "config"
        config.write_text(
            f"Host gate\n HostName {gate.address}\n Port {gate.port}\n IdentityFile {gate.identity}\n"
            f"Host inner\n HostName {sshd.address}\n Port {sshd.port}\n IdentityFile {sshd.identity}\n"
            " ProxyJump gate\n"
        )
        device = Device(name="pi", host="inner")
        assert login(device, Lab(path=None, devices=(), known_hosts=known)) == GREETING
        assert b"Accepted publickey" in (gate.folder / "log").read_bytes()
        with pytest.raises(HostKeyError, match="not known") as caught:
            login(device, sshd.lab())
        assert f"ssh -p {gate.port}" in caught.value.remedy


def test_proxy_command(sshd: Sshd, own_environment: Path) -> None:
    relay = (
        "import os,socket,sys,threading;"
        f"s=socket.create_connection(('{sshd.address}',{sshd.port}));"
        "send=lambda:[s.sendall(d) for d in iter(lambda:os.read(0,65536),b'')];"
        "threading.Thread(target=send,daemon=True).start();"
        "[os.write(1,d) for d in iter(lambda:s.recv(65536),b'')]"
    )
    (own_environment / "relay.py").write_text(relay)
    config = own_environment / ".ssh" / "config"
    config.write_text(
        f"Host odd\n HostName {sshd.address}\n Port {sshd.port}\n IdentityFile {sshd.identity}\n"
        f" ProxyCommand python3 {own_environment / 'relay.py'}\n"
    )
    assert login(Device(name="pi", host="odd"), sshd.lab()) == GREETING


def test_broken_ssh_config(sshd: Sshd, own_environment: Path) -> None:
    (own_environment / ".ssh" / "config").write_bytes(b"Host \xff\xfe\n")
    with pytest.raises(ProjectError, match="config: cannot be read"):
        login(sshd.device(), sshd.lab())


def test_nobody_listens(sshd: Sshd) -> None:
    started = time.monotonic()
    with pytest.raises(NetworkError, match="does not answer") as caught:
        login(sshd.device(port=free_port()), sshd.lab())
    assert "ssh -p" in caught.value.remedy
    assert time.monotonic() - started < 5


def test_host_that_accepts_and_says_nothing(sshd: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        device = sshd.device(port=silent.getsockname()[1], connect_timeout_s=0.5)
        started = time.monotonic()
        with pytest.raises(NetworkError):
            login(device, sshd.lab())
        assert time.monotonic() - started < 5


def test_name_that_does_not_exist(sshd: Sshd) -> None:
    with pytest.raises(NetworkError, match="does not answer"):
        login(sshd.device(host="no-such-host.invalid"), sshd.lab())


def test_cut_link_is_told_from_an_ended_program(sshd: Sshd) -> None:
    connection = connect(sshd.device(), sshd.lab())
    try:
        stream = connection.open_stream(["cat"])
        stream.send(b"x", timeout_s=5)
        assert stream.receive(1, timeout_s=5) == b"x"
        sshd.cut_sessions()
        with pytest.raises(NetworkError, match=r"link to .* failed"):
            stream.receive(1, timeout_s=5)
        with pytest.raises(NetworkError):
            stream.send(b"x", timeout_s=5)
        with pytest.raises(NetworkError):
            connection.open_stream(["true"])
    finally:
        connection.close()


def test_no_shell_for_the_user(tmp_path: Path) -> None:
    with Sshd.start(tmp_path / "server", options=("MaxSessions 0",)) as server:
        connection = connect(server.device(), server.lab())
        try:
            with pytest.raises(DeployError, match="refuses to start programs"):
                connection.open_stream(["true"])
        finally:
            connection.close()


def test_nothing_is_left_open(sshd: Sshd, tmp_path: Path) -> None:
    """A connection that fails or ends leaves no socket behind."""
    login(sshd.device(), sshd.lab())
    before = len(list(Path("/proc/self/fd").iterdir()))
    stranger = str(make_key(tmp_path / "stranger"))
    for device, lab in (
        (sshd.device(), sshd.lab()),
        (sshd.device(identity_file=stranger), sshd.lab()),
        (sshd.device(), Lab(path=None, devices=(), known_hosts=Path("/none"))),
    ):
        with contextlib.suppress(DeployError):
            login(device, lab)
    deadline = time.monotonic() + 5
    while len(list(Path("/proc/self/fd").iterdir())) > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
