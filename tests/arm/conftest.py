"""Boards that all tests share, and the command line as a user types it, in a process of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
import pytest

from edgepack.toolchain.deploy import remote
from edgepack.toolchain.deploy.agent_session import open_session
from edgepack.toolchain.deploy.execute import deploy
from edgepack.toolchain.deploy.inventory import load_lab
from edgepack.toolchain.deploy.known_hosts import host_name
from edgepack.toolchain.lab.control import machine, require_what_is_needed
from edgepack.toolchain.lab.errors import MissingProgramError
from edgepack.toolchain.lab.kinds import find_kind
from edgepack.toolchain.progress import silent
from tests.arm.board import ADDRESS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.toolchain.lab.machine import Machine
    from edgepack.toolchain.progress import Report
    from tests.arm.board import Board

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Answer:
    """What a command answered: its exit code, its JSON document, and what it told people."""

    status: int
    document: Any
    told: str


@dataclass(frozen=True)
class Workplace:
    """A folder with an inventory, a signing key and a state of its own."""

    folder: Path
    environment: dict[str, str]

    def edgepack(self, *arguments: str, status: int | None = 0) -> Answer:
        """Run `edgepack ... --json` and return its answer; None lets it end with any status."""
        command = [sys.executable, "-m", "edgepack", *arguments, "--json"]
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert status in (None, done.returncode), done.stderr
        return Answer(done.returncode, json.loads(done.stdout) if done.stdout.strip() else None, done.stderr)

    def deploy(self, package: Path, device: str) -> dict[str, Any]:
        """Deploy a package and return what the command says of it."""
        [done] = self.edgepack("deploy", str(package), "--device", device).document["deployments"]
        return dict(done)

    def deploy_in_process(self, package: Path, device: str, report: Report = silent) -> None:
        """Deploy a package with the Python interface."""
        lab = load_lab(Path(self.environment["EDGEPACK_LAB"]))
        lab = lab.model_copy(update={"known_hosts": Path(self.environment["EDGEPACK_KNOWN_HOSTS"])})
        deploy(package, lab.device(device), lab, report=report)

    def bench(self, package: Path, device: str, *options: str) -> dict[str, Any]:
        """Measure an installed package at batch 1 with one thread, and return the record."""
        short = ("--batches", "1", "--threads", "1", "--quick", "--no-memory", "--no-profile")
        [run] = self.edgepack("bench", str(package), "--device", device, *short, *options).document["runs"]
        return dict(run)

    def current(self, device: str) -> str:
        """Return the package that is current on a device."""
        lab = load_lab(Path(self.environment["EDGEPACK_LAB"]))
        lab = lab.model_copy(update={"known_hosts": Path(self.environment["EDGEPACK_KNOWN_HOSTS"])})
        with open_session(lab.device(device), lab) as session:
            [package] = remote.installed(session)
        return package.package_id

    def add(self, name: str, board: Board, port: int, target: str) -> None:
        """Add a board to the inventory; its host key is known from then on."""
        login = (
            "--host",
            ADDRESS,
            "--port",
            str(port),
            "--user",
            "root",
            "--identity-file",
            str(board.identity),
        )
        self.edgepack("devices", "add", name, *login, "--target", target, "--emulated")
        kind, key, *_ = board.host_key.read_text().split()
        with Path(self.environment["EDGEPACK_KNOWN_HOSTS"]).open("a") as known_hosts:
            known_hosts.write(f"{host_name(ADDRESS, port)} {kind} {key}\n")


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    folder = tmp_path_factory.mktemp("arm")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("EDGEPACK_", "XDG_", "SSH_"))
    }
    environment = kept | {
        "HOME": str(folder / "home"),
        "EDGEPACK_KEY": str(folder / "key"),
        "EDGEPACK_LAB": str(folder / "lab.toml"),
        "EDGEPACK_KNOWN_HOSTS": str(folder / "known_hosts"),
        "EDGEPACK_STATE_DIR": str(folder / "state"),
        # 60 MB of wheels: downloaded once for all runs of these tests.
        "EDGEPACK_CACHE_DIR": os.environ.get(
            "EDGEPACK_CACHE_DIR", str(platformdirs.user_cache_path("edgepack"))
        ),
    }
    (folder / "home").mkdir()
    place = Workplace(folder, environment)
    place.edgepack("keys", "--create", "--key", str(folder / "key"))
    return place


@contextlib.contextmanager
def emulated(workplace: Workplace, kind: str) -> Iterator[Machine]:
    """Bring up `<kind>-1` as a user does, or skip with the reason; take it down afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("EDGEPACK_STATE_DIR", "EDGEPACK_CACHE_DIR"):
            patch.setenv(name, workplace.environment[name])
        try:
            require_what_is_needed(find_kind(kind))
        except MissingProgramError as err:
            pytest.skip(f"{err.message} {err.remedy}")
        answer = workplace.edgepack("lab", "up", kind, status=None)
        if answer.status and answer.document["error"]["kind"] == "MirrorError":
            pytest.skip(answer.document["error"]["message"])
        assert answer.status == 0, answer.told
        try:
            yield machine(f"{kind}-1")
        finally:
            workplace.edgepack("lab", "down", f"{kind}-1")


@pytest.fixture(scope="session")
def packages(workplace: Workplace) -> dict[str, Path]:
    """The example for 64-bit boards, by precision."""
    return build_example(workplace, "rpi4", "int8", "float32")


@pytest.fixture(scope="session")
def packages32(workplace: Workplace) -> dict[str, Path]:
    """The example for 32-bit boards, by precision."""
    return build_example(workplace, "rpi-armv7", "int8")


def build_example(workplace: Workplace, target: str, *precisions: str) -> dict[str, Path]:
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip('needs pip install "edgepack[tensorflow]"')
    for name in ("edgepack.toml", "fashion.keras", "calibration.npz", "evaluation.npz", "labels.txt"):
        shutil.copyfile(REPOSITORY / "examples" / "fashion" / name, workplace.folder / name)
    chosen = [part for precision in precisions for part in ("--precision", precision)]
    built = workplace.edgepack("build", "--target", target, *chosen).document
    return {each["precision"]: Path(each["package"]) for each in built}
