from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

from edgepack.toolchain.deploy.agent_bundle import agent_bundle

if TYPE_CHECKING:
    from pathlib import Path


def test_same_bytes_every_time() -> None:
    first = agent_bundle()
    agent_bundle.cache_clear()
    second = agent_bundle()
    assert first == second
    assert first is not second
    assert first.filename == f"edgepack-agent-{first.sha256[:16]}.pyz"


def test_holds_the_agent_and_nothing_else() -> None:
    with zipfile.ZipFile(io.BytesIO(agent_bundle().data)) as archive:
        names = archive.namelist()
        assert names == sorted(names)
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert {"__main__.py", "edgepack_agent/__main__.py", "edgepack_agent/runners/litert.py"} <= set(names)
    assert all(name.endswith(".py") and "__pycache__" not in name for name in names)


def test_runs_isolated_and_knows_its_own_hash(tmp_path: Path) -> None:
    bundle = agent_bundle()
    path = tmp_path / bundle.filename
    path.write_bytes(bundle.data)
    command = [sys.executable, "-I", "-S", str(path), "serve", "--work-dir", str(tmp_path / "work")]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["agent"] == bundle.agent_id
