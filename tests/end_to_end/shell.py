"""The command line as a user types it: a folder, an environment of its own, and `python -m edgepack`."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgepack.toolchain.cli.main import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.sshd import Sshd

EDGEPACK = (sys.executable, "-m", "edgepack")
QUICK_BENCH = ("--quick", "--windows", "2", "--batches", "1", "--threads", "1", "--min-seconds", "0.02")


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout; fails where there is more or less than one."""
        return json.loads(self.out)

    def failed(self, code: int, *texts: str) -> Answer:
        """Check that the command failed as a user should see it: one line that says what, one what to do."""
        assert self.code == code, self
        assert "Traceback" not in self.err, self.err
        lines = self.err.splitlines()
        remedies = [index for index, line in enumerate(lines) if line.startswith("  help: ")]
        assert remedies, self.err
        message = lines[remedies[0] - 1]
        assert message.startswith("error: "), self.err
        for text in texts:
            assert text in f"{message}\n{lines[remedies[0]]}", f"{text!r} is not in {message!r}"
        return self

    def ok(self) -> Answer:
        """Check that the command succeeded."""
        assert self.code == 0, f"exit code {self.code}\n{self.err}\n{self.out}"
        return self


@dataclass(frozen=True)
class Shell:
    """A folder to work in and the environment of a user who has nothing else."""

    folder: Path
    environment: dict[str, str]

    def edgepack(self, *arguments: object) -> Answer:
        """Run a command to its end inside this process: what `main` calls, without the second to start."""
        out, err = io.StringIO(), io.StringIO()
        before, environment = Path.cwd(), dict(os.environ)
        os.environ.clear()
        os.environ.update(self.environment)
        os.chdir(self.folder)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = run(list(map(str, arguments)))
        finally:
            os.chdir(before)
            os.environ.clear()
            os.environ.update(environment)
        return Answer(code, out.getvalue(), err.getvalue())

    def process(self, *arguments: object, timeout: float = 120) -> Answer:
        """Run a command to its end as a process of its own."""
        done = subprocess.run(
            [*EDGEPACK, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    @contextlib.contextmanager
    def running(self, *arguments: object) -> Iterator[Running]:
        """Start a command in a process group of its own, as a shell does."""
        log = self.folder / "stderr.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [*EDGEPACK, *map(str, arguments)],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )
        try:
            yield Running(process, log)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            assert process.stdout
            process.stdout.close()

    def within(self, folder: Path, **environment: str) -> Shell:
        """Return this shell in another folder, with more in its environment."""
        return replace(self, folder=folder, environment={**self.environment, **environment})


@dataclass(frozen=True)
class Running:
    """A command that has been started."""

    process: subprocess.Popen[str]
    log: Path

    def wait_for(self, reached: Callable[[], object] | str, timeout: float = 60) -> None:
        """Wait until something is so, or until stderr holds a text; fails when the command ends before."""
        check = (lambda: reached in self.log.read_text()) if isinstance(reached, str) else reached
        deadline = time.monotonic() + timeout
        while not check():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{reached} was never reached:\n{self.log.read_text()}")
            time.sleep(0.002)

    def interrupt(self) -> None:
        """Press Ctrl-C: every process of the foreground group gets the signal."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self, timeout: float = 60) -> Answer:
        """Wait for the end."""
        assert self.process.stdout
        out = self.process.stdout.read()
        return Answer(self.process.wait(timeout), out, self.log.read_text())


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    """Return the environment of a user who has no keys, configuration or state."""
    (home / ".ssh").mkdir(parents=True, exist_ok=True)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("EDGEPACK_", "XDG_", "PYTEST_", "COV_")) and name != "SSH_AUTH_SOCK"
    }
    folders = {"EDGEPACK_STATE_DIR": str(home / "state"), "EDGEPACK_CACHE_DIR": str(home / "cache")}
    return {**kept, "HOME": str(home), **folders, **more}


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that the first of all xdist workers fills."""
    root = factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    folder = root / name
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".complete").exists():
            folder.mkdir(exist_ok=True)
            make(folder)
            (folder / ".complete").touch()
    return folder


def write_lab(path: Path, **devices: dict[str, object]) -> Path:
    """Write an inventory."""
    lines = ['known_hosts = "known_hosts"']
    for name, fields in devices.items():
        lines += ["", f"[devices.{name}]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
    path.write_text("\n".join(lines) + "\n")
    return path


def ssh_device(server: Sshd, work_dir: Path, **fields: object) -> dict[str, object]:
    """Return the keys of lab.toml for a server; it runs this Python, which has a runtime."""
    return {
        "host": server.address,
        "port": server.port,
        "identity_file": str(server.identity),
        "work_dir": str(work_dir),
        "python": sys.executable,
        "runtime": "system",
        **fields,
    }


def leftovers(*folders: Path) -> list[str]:
    """Return what a killed or interrupted command must not leave behind: half-made files and folders."""
    signs = (".new-", ".part", "repair-", ".gone-")
    found = (path for folder in folders for path in folder.rglob("*"))
    return sorted(str(path) for path in found if any(sign in path.name for sign in signs))
