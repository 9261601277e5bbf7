"""The main job on the example, with the commands that a user types: build, deploy, benchmark, report.

    python examples/fashion/demo.py --output demo-output

Two devices are this machine: `local`, and `loopback`, a real OpenSSH server that this script starts on
127.0.0.1 with throw-away keys (left out where sshd is not installed). Nothing outside the output folder
is written but the cache of downloaded wheels.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).parent
FILES = ("edgepack.toml", "fashion.keras", "calibration.npz", "evaluation.npz", "labels.txt")
# Added to the copied project's [bench], the last table of its file.
QUICK = """
# Even less than quick: this shows the way, it does not settle a question.
batches = [1, 4]
threads = [1]
windows = 3
warmup_min_seconds = 0.05
warmup_max_seconds = 0.2
min_seconds = 0.05
"""


def main() -> int:
    """Run the demo and return the exit code."""
    parser = argparse.ArgumentParser(description="Build, deploy, benchmark and report the example model.")
    parser.add_argument("--output", type=Path, default=Path("demo-output"), help="a folder for everything")
    folder = parser.parse_args().output.resolve()
    started = time.monotonic()
    project = folder / "fashion"
    project.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(EXAMPLE / name, project / name)
    with (project / "edgepack.toml").open("a", encoding="utf-8") as file:
        file.write(QUICK)
    (folder / "lab.toml").write_text("", encoding="utf-8")
    environment = {
        **os.environ,
        "EDGEPACK_KEY": str(folder / "signing-key"),
        "EDGEPACK_LAB": str(folder / "lab.toml"),
        "EDGEPACK_KNOWN_HOSTS": str(folder / "known_hosts"),
        "EDGEPACK_STATE_DIR": str(folder / "state"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    if environment.pop("PYTHONDONTWRITEBYTECODE", ""):
        # Dozens of processes follow: without compiled modules each would compile all that it imports.
        environment["PYTHONPYCACHEPREFIX"] = str(folder / "byte-code")

    def edgepack(*arguments: str) -> None:
        print(f"\n$ edgepack {' '.join(arguments)}", flush=True)
        subprocess.run(
            [sys.executable, "-m", "edgepack", *arguments], cwd=project, env=environment, check=True
        )

    try:
        if not (folder / "signing-key").exists():
            edgepack("keys", "--create", "--key", str(folder / "signing-key"))
        edgepack("run", "--target", "rpi", "--device", "local")
        with loopback_sshd(folder / "sshd") as port:
            if port:
                login = ["--host", "127.0.0.1", "--port", str(port)]
                login += ["--identity-file", str(folder / "sshd" / "login")]
                place = ["--target", "rpi", "--work-dir", str(folder / "sshd" / "device")]
                place += ["--python", "/usr/bin/python3"]
                edgepack("devices", "add", "loopback", *login, *place)
                shown = fingerprint(folder / "sshd" / "host.pub")
                edgepack("devices", "trust", "loopback", "--fingerprint", shown)
                # The packages are those of the first run: what has not changed is not built again.
                edgepack("run", "--target", "rpi", "--device", "loopback", "--batches", "1", "--threads", "1")
        edgepack("report", "--output", str(folder / "report"))
    except subprocess.CalledProcessError as err:
        return err.returncode
    print(f"\nDone in {time.monotonic() - started:.0f} s. Open {folder / 'report' / 'report.html'}")
    return 0


@contextmanager
def loopback_sshd(folder: Path) -> Iterator[int | None]:
    """Run a real OpenSSH server on 127.0.0.1 with keys of its own; yields its port, or None without sshd."""
    sshd = shutil.which("sshd") or shutil.which("/usr/sbin/sshd")
    if sshd is None:
        print("The device `loopback` is left out: sshd is not installed (apt-get install openssh-server).")
        yield None
        return
    folder.mkdir(parents=True, exist_ok=True)
    for key in ("host", "login"):
        if not (folder / key).exists():
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True
            )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    options = {
        "ListenAddress": "127.0.0.1",
        "Port": str(port),
        "HostKey": str(folder / "host"),
        "AuthorizedKeysFile": str(folder / "login.pub"),
        "PidFile": "none",
        "UsePAM": "no",
        "StrictModes": "no",
        "PasswordAuthentication": "no",
    }
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(parents=True, exist_ok=True)  # sshd's own empty folder, gone after a reboot
    arguments = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([sshd, "-D", "-e", "-f", "/dev/null", *arguments], stderr=log, stdout=log)
    try:
        wait_for(port, server)
        yield port
    finally:
        server.terminate()
        server.wait()


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers, for ten seconds at most."""
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if server.poll() is not None:
            break
        time.sleep(0.1)
    message = "sshd did not start; see the file 'log' beside its keys"
    raise SystemExit(message)


def fingerprint(public_key: Path) -> str:
    """Return the fingerprint of a public key as the device's owner reads it on the device itself."""
    shown = subprocess.run(["ssh-keygen", "-lf", str(public_key)], check=True, capture_output=True, text=True)
    return shown.stdout.split()[1]


if __name__ == "__main__":
    sys.exit(main())
