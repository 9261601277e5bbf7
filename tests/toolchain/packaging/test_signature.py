"""Signatures by the real ssh-keygen."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from edgepack.toolchain.errors import PackageError, SignatureError
from edgepack.toolchain.packaging import signature
from edgepack.toolchain.packaging.signature import (
    allowed_signers_line,
    create_key,
    default_key_path,
    find_key,
    public_key,
    sign,
    verify,
)

pytestmark = pytest.mark.usefixtures("ssh_keygen")
DATA = b'{"schema_version": 1}\n'


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "deep" / "id_ed25519"
    create_key(path)
    return path


@pytest.fixture(scope="module")
def signed(key):
    return sign(DATA, key)


@pytest.fixture
def locked_key(tmp_path):
    path = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(path)], check=True)
    return path


def trust(key, principal="ann@example.com"):
    return allowed_signers_line(public_key(key), principal)


def test_good_signature_names_its_signer(key, signed):
    signer = verify(DATA, signed, trust(key))
    assert signer.principal == "ann@example.com"
    assert signer.key_type == "ED25519"
    shown = subprocess.run(["ssh-keygen", "-l", "-f", str(key)], capture_output=True, text=True, check=True)
    assert signer.fingerprint in shown.stdout


def test_signing_is_deterministic(key, signed):
    assert sign(DATA, key) == signed


def test_changed_data_is_refused(key, signed):
    with pytest.raises(SignatureError, match="does not fit"):
        verify(DATA + b" ", signed, trust(key))


def test_stranger_is_refused_by_fingerprint(tmp_path, key, signed):
    create_key(tmp_path / "other")
    for signers in ("", trust(tmp_path / "other"), "# a comment\n", "not a signer line\n"):
        with pytest.raises(SignatureError, match=r"SHA256:.*not among the allowed signers"):
            verify(DATA, signed, signers)
    assert verify(DATA, signed, trust(tmp_path / "other", "bob") + trust(key)).principal == "ann@example.com"


def test_a_key_that_may_sign_for_git_only_is_refused(key, signed):
    signers = trust(key).replace('namespaces="edgepack"', 'namespaces="git"')
    with pytest.raises(SignatureError, match="not among"):
        verify(DATA, signed, signers)


def test_a_signature_for_git_is_refused(tmp_path, key):
    data = tmp_path / "data"
    data.write_bytes(DATA)
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", "git", data], check=True)
    with pytest.raises(SignatureError, match="does not fit"):
        verify(DATA, (tmp_path / "data.sig").read_bytes(), trust(key))


def test_several_principals_and_patterns(key, signed):
    line = trust(key).split(" ", 1)[1]
    assert verify(DATA, signed, f"ann,bob {line}").principal == "ann"
    assert verify(DATA, signed, f"*@example.com {line}").principal == "*@example.com"


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"hello",
        b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n",
        b"-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n",
        b"x" * 20_000,
    ],
)
def test_malformed_signatures(key, bad):
    with pytest.raises(SignatureError):
        verify(DATA, bad, trust(key))


def test_nothing_may_stand_around_a_signature(key, signed):
    for bad in (b"x" + signed, signed + b"x", signed + signed):
        with pytest.raises(SignatureError, match="not one armoured"):
            verify(DATA, bad, trust(key))


def test_locked_key_says_how_to_unlock_it_and_never_prompts(locked_key, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    with pytest.raises(SignatureError, match="cannot sign") as caught:
        sign(DATA, locked_key)
    assert f"ssh-add {locked_key}" in caught.value.remedy
    assert public_key(locked_key).startswith("ssh-ed25519 ")


def test_locked_key_signs_through_the_agent(locked_key, tmp_path, monkeypatch):
    if not (shutil.which("ssh-agent") and shutil.which("ssh-add")):
        pytest.skip("ssh-agent is not installed")
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        askpass = tmp_path / "askpass"
        askpass.write_text("#!/bin/sh\necho secret\n")
        askpass.chmod(0o700)
        while not socket.exists():
            assert agent.poll() is None
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        environment = {**os.environ, "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"}
        subprocess.run(["ssh-add", "-q", str(locked_key)], env=environment, check=True)
        assert verify(DATA, sign(DATA, locked_key), trust(locked_key)).principal == "ann@example.com"
    finally:
        agent.terminate()
        agent.wait()


def test_missing_and_unreadable_keys(tmp_path):
    with pytest.raises(SignatureError, match="does not exist"):
        sign(DATA, tmp_path / "no")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(SignatureError, match="cannot sign"):
        sign(DATA, tmp_path / "text")
    with pytest.raises(SignatureError, match="no OpenSSH key"):
        public_key(tmp_path / "text")


def test_key_readable_by_others(key, tmp_path):
    copy = tmp_path / "open"
    shutil.copy(key, copy)
    copy.chmod(0o644)
    with pytest.raises(SignatureError) as caught:
        sign(DATA, copy)
    assert "chmod 600" in caught.value.remedy


def test_create_key_never_overwrites(tmp_path):
    path = tmp_path / "id"
    line = create_key(path)
    assert line == public_key(path)
    assert path.stat().st_mode & 0o077 == 0
    before = path.read_bytes()
    with pytest.raises(SignatureError, match="exists already"):
        create_key(path)
    path.unlink()
    with pytest.raises(SignatureError, match=r"id\.pub' exists already"):
        create_key(path)
    assert not path.exists()
    assert before


def test_find_key_takes_the_nearest(tmp_path, key):
    environ = {"HOME": str(tmp_path)}
    with pytest.raises(SignatureError, match="no key to sign with") as caught:
        find_key(None, environ)
    assert "edgepack keys" in caught.value.remedy
    for path in (tmp_path / ".ssh/id_ed25519", default_key_path(environ)):
        path.parent.mkdir(parents=True)
        path.write_text("key")
        assert find_key(None, environ) == path
    assert find_key(None, environ, project=key) == key
    flag = tmp_path / "flag"
    flag.write_text("key")
    assert find_key(None, {**environ, "EDGEPACK_KEY": str(flag)}, project=key) == flag
    assert find_key(key, {**environ, "EDGEPACK_KEY": str(flag)}) == key


def test_find_key_says_who_named_a_missing_key(tmp_path):
    with pytest.raises(SignatureError, match="named by EDGEPACK_KEY"):
        find_key(None, {"EDGEPACK_KEY": str(tmp_path / "no"), "HOME": str(tmp_path)})


@pytest.mark.parametrize("principal", ["", "a b", "a,b", "*", "ann\n", '"x"', "-x", "a" * 200])
def test_principals_that_would_change_the_line(key, principal):
    with pytest.raises(SignatureError, match="cannot name a signer"):
        allowed_signers_line(public_key(key), principal)


@pytest.mark.parametrize("line", ["", "ssh-ed25519", "ssh-ed25519 AAAA\nroot ssh-rsa BBBB", "x"])
def test_malformed_public_keys(line):
    with pytest.raises(SignatureError, match="no OpenSSH public key"):
        allowed_signers_line(line, "ann")


def test_missing_ssh_keygen_names_the_package(key, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PackageError, match="not installed") as caught:
        sign(DATA, key)
    assert "apt-get install openssh-client" in caught.value.remedy
    assert signature.NAMESPACE == "edgepack"
