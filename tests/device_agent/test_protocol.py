"""Framing, the greeting, and what PROTOCOL.md promises about every request."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.device_agent.conftest import AgentError, install_runtime, runtime_wheel, sha256

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.device_agent.conftest import Agent

SOURCE = Path(__file__).resolve().parents[2] / "device_agent"
PAGE = (SOURCE / "PROTOCOL.md").read_text("utf-8")
PYENV = Path.home() / ".pyenv" / "versions"


def talk(agent_file: Path, work_dir: Path, data: bytes) -> tuple[list[dict], int]:
    """Send bytes as they are; return what the agent says after its greeting, and its exit status."""
    command = [sys.executable, "-I", "-S", str(agent_file), "serve", "--work-dir", str(work_dir)]
    done = subprocess.run(command, input=data, capture_output=True, timeout=60)
    return [json.loads(line) for line in done.stdout.splitlines()][1:], done.returncode


def test_hello(agent: Agent, agent_file: Path, work_dir: Path) -> None:
    digest = sha256(agent_file.read_bytes())[:16]
    assert agent_file.name == f"edgepack-agent-{digest}.pyz"
    assert agent.hello == {
        "type": "hello",
        "protocol": 1,
        "agent": digest,
        "python": ".".join(map(str, sys.version_info[:3])),
        "machine": agent.hello["machine"],
        "pid": agent.process.pid,
        "work_dir": str(work_dir),
    }


def test_bye_and_the_end_of_stdin_end_the_agent(start_agent: Callable[..., Agent]) -> None:
    agent = start_agent()
    assert agent.ask("bye") == {"id": 1, "type": "result"}
    assert agent.process.wait(10) == 0
    assert start_agent().close() == 0


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\n",
        b"[1, 2]\n",
        b'{"id": 1, "type": "probe"\n',
        b"\xff\xfe\n",
        b'{"id":1,"type":"' + b"x" * (1 << 20) + b'"}\n',
        b"[" * 100_000 + b"\n",
        b'{"id":1,"type":"blobs.put","blobs":[{"sha256":"../x","size_bytes":1,"offset_bytes":0}]}\n',
        b'{"id": 1, "type": "blobs.put", "blobs": [{"sha256": "' + b"0" * 64 + b'", "size_bytes": -1}]}\n',
        b'{"id": 1, "type": "blobs.put"}\n',
    ],
)
def test_what_breaks_the_framing_ends_the_agent(agent_file: Path, work_dir: Path, data: bytes) -> None:
    answers, status = talk(agent_file, work_dir, data + b'{"id": 2, "type": "jobs.list"}\n')
    assert [answer["code"] for answer in answers] == ["bad_request"]
    assert status == 0


def test_a_bad_request_does_not_end_the_agent(agent: Agent) -> None:
    bad = [
        ("nonsense", {}),
        ("install", {"manifest": "0" * 63, "signature": "0" * 64, "runtime": "system"}),
        ("install", {"manifest": "0" * 64, "signature": "0" * 64}),
        ("install", {"manifest": "0" * 64 + "\n", "signature": "0" * 64, "runtime": "system"}),
        ("rollback", {"name": "../x"}),
        ("remove", {"name": "x" * 65}),
        ("blobs.missing", {"blobs": [{"sha256": "0" * 64, "size_bytes": 1.5}]}),
        ("blobs.missing", {"blobs": [{"sha256": "0" * 64, "size_bytes": True}]}),
        ("jobs.fetch", {"job_id": "../../etc"}),
        ("bench.start", {"name": "dense", "spec": {"batches": [0]}}),
        ("bench.start", {"name": "dense", "spec": {"min_runs": 10**9}}),
        ("bench.start", {"name": "dense", "spec": {"max_seconds": "1"}}),
        ("runtime.install", {"runtime_id": "0" * 64, "wheels": []}),
        ("trust.set", {"allowed_signers": "tester not-a-key\n"}),
        ("trust.set", {"allowed_signers": 3}),
    ]
    for kind, fields in bad:
        with pytest.raises(AgentError) as caught:
            agent.ask(kind, **fields)
        assert caught.value.code == "bad_request", (kind, fields, caught.value.answer)
    agent._id = 6  # an id that is no number cannot be answered under it
    agent.process.stdin.write(b'{"id": "7", "type": "jobs.list"}\n')
    agent.process.stdin.flush()
    assert agent.read()["code"] == "bad_request"
    assert agent.ask("jobs.list", unknown_field={"is": "ignored"})["jobs"] == []


def test_prints_of_a_runtime_do_not_reach_the_protocol(agent: Agent, tmp_path: Path) -> None:
    source = """
import os, sys
print("a print")
os.write(1, b"a write of a C library\\n")
from ai_edge_litert.interpreter import Interpreter
"""
    assert install_runtime(agent, runtime_wheel(tmp_path, source))["kind"] == "tflite-runtime"


def test_probe_tells_facts_and_never_zero(agent: Agent) -> None:
    facts = agent.ask("probe")["facts"]
    assert facts["python"]["abi"] == f"cp{sys.version_info[0]}{sys.version_info[1]}{sys.abiflags}"
    assert facts["python"]["executable"] == sys.executable
    assert facts["libc"]["kind"] in ("glibc", "musl")
    assert facts["memory"]["total_bytes"] > facts["memory"]["available_bytes"] > 1 << 20
    assert 1 <= facts["cpu"]["available"] <= facts["cpu"]["count"]
    assert facts["system_runtime"]["kind"] == "litert"
    assert facts["system_numpy"] == facts["system_runtime"]["numpy"]
    for key, value in facts.items():
        assert value != 0 or key == "uid", f"{key} is 0: what is not known is null"


def test_a_fact_about_glibcxx_is_what_the_library_says(agent: Agent) -> None:
    facts = agent.ask("probe")["facts"]["libstdcxx"]
    if facts is None:
        pytest.skip("no libstdc++ on this machine")
    library = next(
        path
        for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")
        if (path := Path(folder, "libstdc++.so.6")).exists()
    )
    data = library.read_bytes()
    assert f"GLIBCXX_{facts['glibcxx']}\0".encode() in data
    major, minor, patch = facts["glibcxx"].split(".")
    assert f"GLIBCXX_{major}.{minor}.{int(patch) + 1}\0".encode() not in data


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.12", "3.13"])
def test_other_pythons(version: str, start_agent: Callable[..., Agent], tmp_path: Path) -> None:
    found = sorted(PYENV.glob(f"{version}.*/bin/python3"))
    if not found:
        pytest.skip(f"no Python {version} under ~/.pyenv")
    agent = start_agent(python=str(found[0]), work=tmp_path / "fresh")
    assert agent.hello["python"].startswith(version)
    assert agent.ask("probe")["facts"]["python"]["version"].startswith(version)
    data = b"x" * 100_000
    agent.put(data)
    assert (tmp_path / "fresh" / "blobs" / sha256(data)).read_bytes() == data
    assert agent.close() == 0


def test_every_example_of_the_page_is_json_and_known(agent: Agent) -> None:
    examples = re.findall(r'^    (\{"(?:id|type|record)".*(?:\n     +.*)*)', PAGE, re.MULTILINE)
    assert len(examples) > 40
    requests = set()
    for example in examples:
        if "|" in example:
            continue  # a grammar of alternatives, not an example
        value = json.loads(re.sub(r"\{(…|as in probe)\}", "{}", example))
        if "id" in value and value["type"] not in ("result", "progress", "error"):
            requests.add(value["type"])
    known = set(re.findall(r'^    "([a-z.]+)": _', (SOURCE / "requests.py").read_text(), re.MULTILINE))
    assert requests == known


def test_every_error_code_is_on_the_page_and_used() -> None:
    listed = set(re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE))
    sources = "\n".join(path.read_text() for path in SOURCE.rglob("*.py"))
    used = set(re.findall(r'AgentError\(\s*"([a-z_]+)"', sources)) | set(
        re.findall(r'code = "([a-z_]+)"', sources)
    )
    assert used == listed
