from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from edgepack.toolchain.deploy.known_hosts import HostKey, find, host_name, judge, require_known, trust
from edgepack.toolchain.errors import DeployError, HostKeyError
from tests.sshd import make_key, needs_sshd

A, B = HostKey("ssh-ed25519", b"key a"), HostKey("ssh-ed25519", b"key b")


def line(names: str, key: HostKey, marker: str = "") -> str:
    return f"{marker} {names} {key.algorithm} {base64.b64encode(key.blob).decode()} a comment\n".lstrip()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "known"


@pytest.mark.parametrize(
    ("names", "name", "matches"),
    [
        ("pi4.local", "pi4.local", True),
        ("PI4.local", "pi4.local", True),
        ("pi4.local,10.0.0.1", "10.0.0.1", True),
        ("*.local", "pi4.local", True),
        ("pi?.local", "pi4.local", True),
        ("*.local,!pi4.local", "pi4.local", False),
        ("!pi4.local,*.local", "pi4.local", False),
        ("pi4.local", "pi4.local.evil.org", False),
        ("[10.0.0.1]:2222", "[10.0.0.1]:2222", True),
        ("10.0.0.1", "[10.0.0.1]:2222", False),
        ("[0-9]", "5", False),
    ],
)
def test_names(path: Path, names: str, name: str, matches: bool) -> None:
    path.write_text(line(names, A))
    assert bool(find(name, [path])) is matches


def test_odd_lines_are_passed_over(path: Path, tmp_path: Path) -> None:
    text = (
        "\n# pi\nonly two\n@cert-authority pi ssh-ed25519 AAAA\npi ssh-ed25519 !!!\n|1|x|y ssh-ed25519 AAAA\n"
    )
    path.write_bytes(text.encode() + b"\xff\xfe\n" + line("pi", A).encode())
    assert [(known.key, known.line) for known in find("pi", [tmp_path / "absent", path])] == [(A, 8)]


def test_verdicts(path: Path) -> None:
    path.write_text(line("pi", A) + line("old", A) + line("*", B, "@revoked"))
    assert judge(A, find("pi", [path])) == "known"
    assert judge(HostKey("ssh-ed25519", b"other"), find("pi", [path])) == "changed"
    assert judge(B, find("pi", [path])) == "revoked"
    assert judge(A, []) == "unknown"
    path.write_text(line("pi", A) + line("pi", A, "@revoked"))
    assert judge(A, find("pi", [path])) == "revoked"


def test_a_key_known_in_any_file_passes(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    path.write_text(line("pi", A))
    other.write_text(line("pi", B))
    assert judge(A, find("pi", [other, path])) == "known"


def test_errors_tell_the_command(path: Path) -> None:
    path.write_text(line("pi", A))
    with pytest.raises(HostKeyError, match="not known") as caught:
        require_known("pi", B, [], accept="run `edgepack devices trust pi`")
    assert "edgepack devices trust pi" in caught.value.remedy
    assert B.fingerprint in caught.value.message
    with pytest.raises(HostKeyError, match=r"another key is known \(.*known:1\)"):
        require_known("pi", B, find("pi", [path]), accept="run it")
    path.write_text(line("pi", B, "@revoked"))
    with pytest.raises(HostKeyError, match="revoked"):
        require_known("pi", B, find("pi", [path]), accept="run it")


def test_trust_replaces_the_hosts_own_lines_only(path: Path) -> None:
    path.write_text("# mine\n" + line("pi", A) + line("other", A))
    trust(path, "pi", B)
    assert judge(B, find("pi", [path])) == "known"
    assert judge(A, find("pi", [path])) == "changed"
    assert judge(A, find("other", [path])) == "known"
    assert path.read_text().startswith("# mine\n")


def test_trust_makes_the_file_and_tells_when_it_cannot(tmp_path: Path) -> None:
    trust(tmp_path / "a" / "b", "pi", A)
    assert judge(A, find("pi", [tmp_path / "a" / "b"])) == "known"
    (tmp_path / "file").write_text("")
    with pytest.raises(DeployError, match="cannot be written"):
        trust(tmp_path / "file" / "x", "pi", A)


@needs_sshd
@pytest.mark.parametrize("port", [22, 2222])
def test_agrees_with_ssh_keygen(tmp_path: Path, path: Path, port: int) -> None:
    """OpenSSH hashes the names itself, and prints the same fingerprint."""
    public = make_key(tmp_path / "key").with_suffix(".pub").read_text().split()
    key = HostKey(public[0], base64.b64decode(public[1]))
    trust(path, host_name("Pi4.local", port), key)
    command = ["ssh-keygen", "-H", "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    assert "pi4" not in path.read_text()
    assert judge(key, find(host_name("pi4.local", port), [path])) == "known"
    assert judge(key, find(host_name("pi5.local", port), [path])) == "unknown"
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", tmp_path / "key.pub"], capture_output=True, text=True
    ).stdout
    assert key.fingerprint in shown
