"""Record the transcripts anew, with a real agent: `python -m tests.device_agent.transcripts.record`.

Run it when the protocol has a new optional field. A changed meaning needs a new protocol number, and a
folder `v2`.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgepack.toolchain.deploy.agent_bundle import agent_bundle
from tests.device_agent.conftest import Agent, BuiltPackage, build_package, make_contents, make_key, sha256
from tests.device_agent.transcripts.replay import NAMES, anonymous, save


class Recorder:
    """An agent whose conversation is written down."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._id = 0
        self.steps: list[dict[str, Any]] = [{"from": "agent", "line": anonymous(agent.hello)}]

    def ask(self, kind: str, /, raw: bytes = b"", **fields: Any) -> dict[str, Any]:
        self._id += 1
        request = {"id": self._id, "type": kind, **fields}
        self._agent.process.stdin.write(json.dumps(request).encode() + b"\n" + raw)
        self._agent.process.stdin.flush()
        self.steps.append({"from": "host", "line": request})
        if raw:
            self.steps.append({"from": "host", "raw": raw})
        while (answer := self._agent.read())["type"] == "progress":
            pass
        self.steps.append({"from": "agent", "line": anonymous(answer)})
        return answer

    def fetch(self, job_id: str) -> None:
        answer = self.ask("jobs.fetch", job_id=job_id)
        record = json.loads(self._agent.process.stdout.read(answer["size_bytes"]))
        data = json.dumps(anonymous(record), separators=(",", ":")).encode()
        about = {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        self.steps[-1]["line"].update(about)
        self.steps.append({"from": "agent", "raw": data})

    def put(self, *contents: bytes) -> None:
        blobs = [{"sha256": sha256(data), "size_bytes": len(data), "offset_bytes": 0} for data in contents]
        self.ask("blobs.put", b"".join(contents), blobs=blobs)

    def upload(self, package: BuiltPackage) -> None:
        self.put(*package.files.values(), package.manifest, package.signature)


def record_all(folder: Path) -> None:
    """Record every conversation."""
    bundle = agent_bundle()
    path = folder / bundle.filename
    path.write_bytes(bundle.data)
    key, contents = make_key(folder, "example"), make_contents()
    package = build_package(contents, key)
    newer = build_package(contents, key, provenance={"build": "2"})
    wrong = build_package({**contents, "golden/0.out.bin": b"\0" * 16}, key)
    talks: dict[str, Callable[[Recorder], None]] = {
        "greeting": _greeting,
        "blobs": _blobs,
        "trust": lambda agent: _trust(agent, key.allowed_signers),
        "install": lambda agent: _install(agent, key.allowed_signers, package, newer),
        "refusals": lambda agent: _refusals(agent, key.allowed_signers, package, wrong),
        "bench": lambda agent: _bench(agent, key.allowed_signers, package),
    }
    for name in NAMES:
        command = [sys.executable, "-I", "-S", str(path), "serve", "--work-dir", str(folder / name)]
        agent = Agent(command, folder / f"{name}.log")
        recorder = Recorder(agent)
        talks[name](recorder)
        recorder.ask("bye")
        agent.close()
        save(name, recorder.steps)


def _greeting(agent: Recorder) -> None:
    agent.ask("probe")
    agent.ask("runtime.list")
    agent.ask("installed")
    agent.ask("jobs.list")


def _blobs(agent: Recorder) -> None:
    first, second = b"first content", bytes(range(256))
    wanted = [{"sha256": sha256(data), "size_bytes": len(data)} for data in (first, second)]
    agent.ask("blobs.missing", blobs=wanted)
    agent.put(first)
    agent.ask("blobs.missing", blobs=wanted)
    put = {**wanted[1], "offset_bytes": 0}
    agent.ask("blobs.put", second[:-1] + b"!", blobs=[put])
    agent.ask("blobs.put", second, blobs=[put])
    agent.ask("blobs.missing", blobs=wanted)


def _trust(agent: Recorder, signers: str) -> None:
    agent.ask("trust.get")
    agent.ask("trust.set", allowed_signers=signers)
    agent.ask("trust.get")
    agent.ask("trust.set", allowed_signers="nonsense\n")


def _order(package: BuiltPackage) -> dict[str, str]:
    return {**Agent.install_fields(package), "owner": "ann@laptop"}


def _install(agent: Recorder, signers: str, package: BuiltPackage, newer: BuiltPackage) -> None:
    agent.ask("trust.set", allowed_signers=signers)
    agent.upload(package)
    agent.ask("install", **_order(package))
    agent.ask("install", **_order(package))
    agent.put(newer.manifest, newer.signature)
    agent.ask("install", **_order(newer))
    agent.ask("installed")
    agent.ask("rollback", name="dense", owner="ann@laptop")
    agent.ask("installed")
    agent.ask("remove", name="dense", owner="ann@laptop")
    agent.ask("installed")


def _refusals(agent: Recorder, signers: str, package: BuiltPackage, wrong: BuiltPackage) -> None:
    agent.ask("install", **_order(package))
    agent.upload(package)
    agent.ask("install", **_order(package))
    agent.ask("trust.set", allowed_signers=signers)
    agent.upload(wrong)
    agent.ask("install", **{**_order(package), "signature": sha256(wrong.signature)})
    agent.ask("install", **{**_order(package), "runtime": "0" * 64})
    agent.ask("install", **_order(wrong))
    agent.ask("rollback", name="dense", owner="ann@laptop")
    agent.ask("bench.start", name="dense", owner="ann@laptop", spec={})
    agent.ask("jobs.fetch", job_id="20260101T000000-00000000")
    agent.ask("no.such.request")


def _bench(agent: Recorder, signers: str, package: BuiltPackage) -> None:
    agent.ask("trust.set", allowed_signers=signers)
    agent.upload(package)
    agent.ask("install", **_order(package))
    spec = {"batches": [1, 2], "windows": 2, "min_runs": 5, "min_seconds": 0, "warmup_min_seconds": 0}
    spec["warmup_max_seconds"] = 0.1
    job_id = agent.ask("bench.start", name="dense", owner="ann@laptop", spec=spec)["job_id"]
    agent.ask("jobs.wait", job_id=job_id)
    agent.ask("jobs.list")
    agent.fetch(job_id)
    agent.ask("jobs.ack", job_id=job_id)
    agent.ask("jobs.list")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        record_all(Path(scratch))
