"""The protocol's host side: against the real agent, and against programs that say what no agent should."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgepack.toolchain.deploy import remote
from edgepack.toolchain.deploy.agent_bundle import agent_bundle
from edgepack.toolchain.deploy.agent_session import open_session
from edgepack.toolchain.deploy.inventory import Device, Lab
from edgepack.toolchain.deploy.messages import MAX_LINE_BYTES, Nothing, Probe
from edgepack.toolchain.errors import AgentError, DeployError, NetworkError
from tests.sshd import Sshd, needs_sshd

if TYPE_CHECKING:
    from collections.abc import Callable

HELLO = {
    "type": "hello", "protocol": 1, "agent": "a", "python": "3.11.2", "machine": "x", "pid": 1,
    "work_dir": "/w",
}  # fmt: skip


def test_probe_of_this_machine(local: Device, lab: Lab) -> None:
    with open_session(local, lab) as session:
        facts = remote.probe(session)
        assert session.hello.agent == agent_bundle().agent_id
        assert remote.installed(session) == []
        assert remote.runtimes(session) == []
    assert facts.python.version == ".".join(str(part) for part in sys.version_info[:3])
    assert facts.system_runtime is not None
    assert facts.cpu.count


def test_trust_travels_both_ways(local: Device, lab: Lab, signers: str) -> None:
    with open_session(local, lab) as session:
        assert remote.allowed_signers(session) == ""
        remote.set_allowed_signers(session, signers)
        assert remote.allowed_signers(session).strip() == signers.strip()


def test_errors_of_the_agent_keep_code_and_remedy(local: Device, lab: Lab) -> None:
    with open_session(local, lab) as session:
        with pytest.raises(AgentError, match=r"^local: ") as caught:
            remote.rollback(session, "none")
        assert caught.value.code == "not_installed"
        assert caught.value.remedy
        with pytest.raises(AgentError) as caught:
            remote.remove(session, "none")
        assert caught.value.code == "not_installed"
        with pytest.raises(AgentError) as caught:
            session.request("no.such", Nothing)
        assert caught.value.code == "bad_request"
        remote.probe(session)  # the session goes on after an error


@needs_sshd
def test_agent_is_sent_once(sshd: Sshd, tmp_path: Path) -> None:
    device = sshd.device(work_dir=str(tmp_path / "work"))
    path = tmp_path / "work" / "agent" / agent_bundle().filename
    with open_session(device, sshd.lab()):
        before = path.stat()
    assert path.read_bytes() == agent_bundle().data
    with open_session(device, sshd.lab()):
        after = path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    unpacked = path.name.removesuffix(".pyz")
    assert sorted(child.name for child in path.parent.iterdir()) == [unpacked, path.name]


@needs_sshd
def test_no_python_on_the_device(sshd: Sshd) -> None:
    device = sshd.device(python="/none/python3")
    with (
        pytest.raises(DeployError, match="has no Python at '/none/python3'") as caught,
        open_session(device, sshd.lab()),
    ):
        pass
    assert "apt install python3" in caught.value.remedy


@pytest.fixture
def fake_python(tmp_path: Path, local: Device) -> Callable[[str], Device]:
    """Return a maker of devices whose `python` is a shell script."""

    def make(script: str) -> Device:
        path = tmp_path / "python3"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return local.model_copy(
            update={"python": str(path), "answer_timeout_s": 5.0, "connect_timeout_s": 5.0}
        )

    return make


def answering(*answers: object, hello: object = HELLO) -> str:
    """Return a script that greets, and gives one answer a request."""
    lines = [hello, *answers]
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    quoted = [text.replace("'", "'\\''") for text in texts]
    return f"printf '%s\\n' '{quoted[0]}'\n" + "\n".join(
        f"read x; printf '%s\\n' '{text}'" for text in quoted[1:]
    )


def test_python_that_is_too_old(fake_python: Callable[[str], Device], lab: Lab) -> None:
    """The script that receives the agent says so; an old Python is played by the status it would give."""
    device = fake_python('case "$1" in -I) exit 2;; *) echo 3.7.3 >&2; exit 3;; esac')
    with pytest.raises(DeployError, match=r"'3.7.3.*needs 3.9 or later"), open_session(device, lab):
        pass


def test_no_room_for_the_agent(local: Device, lab: Lab) -> None:
    device = local.model_copy(update={"work_dir": "/dev/null/edgepack"})
    with (
        pytest.raises(
            DeployError, match=r"cannot be stored in /dev/null/edgepack.*Not a directory"
        ) as caught,
        open_session(device, lab),
    ):
        pass
    assert "work_dir" in caught.value.remedy


def test_damaged_agent_is_named(local: Device, lab: Lab, tmp_path: Path) -> None:
    path = Path(local.work_dir) / "agent" / agent_bundle().filename
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a zip")
    with open_session(local, lab) as session:  # it does not start, so it is sent again
        assert session.hello.agent == agent_bundle().agent_id


@pytest.mark.parametrize("protocol", [0, 2, "1", None])
def test_unknown_protocol(fake_python: Callable[[str], Device], lab: Lab, protocol: object) -> None:
    device = fake_python(answering(hello={**HELLO, "protocol": protocol}))
    with (
        pytest.raises(AgentError, match=r"speaks protocol .*this edgepack speaks 1") as caught,
        open_session(device, lab),
    ):
        pass
    assert "upgrade" in caught.value.remedy


def test_login_script_that_prints(fake_python: Callable[[str], Device], lab: Lab) -> None:
    device = fake_python("echo Welcome; echo '{\"type\": 1}'; echo '[1]'\n" + answering())
    with open_session(device, lab) as session:
        assert session.hello.work_dir == "/w"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("yes hello", "found b?'hello' where the agent's greeting should be"),
        (f"head -c {MAX_LINE_BYTES * 3} /dev/zero; sleep 60", "line of more than"),
        ("echo oops >&2; exit 1", "agent does not start. oops|cannot be stored.*oops"),
        (answering(hello={**HELLO, "pid": "x"}), "greeting is wrong .*pid"),
    ],
)
def test_no_greeting(fake_python: Callable[[str], Device], lab: Lab, script: str, expected: str) -> None:
    with pytest.raises((AgentError, DeployError), match=expected), open_session(fake_python(script), lab):
        pass


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("garbage", "not as the protocol says.*garbage"),
        ("[1, 2]", "not as the protocol says"),
        ("[" * 100_000, "not as the protocol says"),
        ({"id": 2, "type": "result", "facts": {}}, "not as the protocol says"),
        ({"id": 1, "type": "surprise"}, "not as the protocol says"),
        ({"id": 1, "type": "result", "facts": {"machine": 3}}, "facts"),
        ({"id": 1, "type": "progress", "stage": "x", "done": -1, "total": 1}, "done"),
        ({"id": 1, "type": "error", "code": "BAD", "message": "m", "remedy": "r"}, "code"),
        ("x" * (MAX_LINE_BYTES + 2), "line of more than"),
    ],
)
def test_hostile_answers(
    fake_python: Callable[[str], Device], lab: Lab, answer: object, expected: str
) -> None:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    script = (
        answering("@").replace("'@'", f'"$(cat {lab.known_hosts})"')
        if len(text) > 1000
        else answering(answer)
    )
    lab.known_hosts.write_text(text)
    device = fake_python(
        script if len(text) <= 1000 else f"{answering()}\nread x; cat {lab.known_hosts}; echo"
    )
    with open_session(device, lab) as session, pytest.raises(AgentError, match=expected) as caught:
        session.request("probe", Probe)
    assert caught.value.code == "protocol"
    assert len(caught.value.message) < 1000


def test_terminal_codes_of_a_device_are_not_passed_on(fake_python: Callable[[str], Device], lab: Lab) -> None:
    answer = {"id": 1, "type": "error", "code": "internal", "message": "\x1b[2Jgone\n", "remedy": "\x07beep"}
    with open_session(fake_python(answering(answer)), lab) as session, pytest.raises(AgentError) as caught:
        session.request("probe", Probe)
    assert caught.value.code == "internal"
    assert (caught.value.message + caught.value.remedy).isprintable()


def test_agent_that_ends_in_a_request(fake_python: Callable[[str], Device], lab: Lab) -> None:
    with (
        open_session(fake_python(answering() + "\nread x; echo MemoryError >&2; exit 9"), lab) as session,
        pytest.raises(AgentError, match=r"ended with status 9. MemoryError") as caught,
    ):
        session.request("probe", Probe)
    assert caught.value.code == "agent_ended"
    with (
        open_session(fake_python(answering() + "\nread x; kill -9 $$"), lab) as session,
        pytest.raises(AgentError, match="was killed"),
    ):
        session.request("probe", Probe)


def test_agent_that_is_silent(fake_python: Callable[[str], Device], lab: Lab) -> None:
    with (
        open_session(fake_python(answering() + "\nsleep 60"), lab) as session,
        pytest.raises(NetworkError, match=r"silent for 0\.2 s"),
    ):
        session.request("probe", Probe, timeout_s=0.2)


def test_progress_and_raw_bytes(fake_python: Callable[[str], Device], lab: Lab) -> None:
    steps = [{"id": 1, "type": "progress", "stage": "golden", "done": done, "total": 2} for done in (1, 2)]
    result = json.dumps({"id": 1, "type": "result"})
    script = answering("\n".join(json.dumps(step) for step in steps) + f"\n{result}\nraw") + "\nprintf bytes"
    seen: list[tuple[str, int, int]] = []
    with open_session(fake_python(script), lab) as session:
        session.request("x", Nothing, progress=lambda *step: seen.append(step))
        assert b"".join(session.fetch(9)) == b"raw\nbytes"
        with pytest.raises(AgentError, match="ended with status 0"):
            list(session.fetch(1))
    assert seen == [("golden", 1, 2), ("golden", 2, 2)]


def test_request_that_is_too_long(local: Device, lab: Lab) -> None:
    with open_session(local, lab) as session, pytest.raises(AgentError, match="the protocol allows"):
        session.request("probe", Probe, more="x" * MAX_LINE_BYTES)
