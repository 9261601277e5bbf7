"""What lands in a wheel: the sources through their links, and every file that the program reads."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
COPIED = ("targets", "converters", "toolchain", "device_agent", "src")
DATA = (
    "edgepack/py.typed",
    "edgepack/device_agent/PROTOCOL.md",
    "edgepack/device_agent/__main__.py",
    "edgepack/device_agent/runners/litert.py",
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that the build writes nothing into the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in COPIED:
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(REPOSITORY / name, source / name, symlinks=True, ignore=ignore)
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        if (REPOSITORY / name).exists():
            shutil.copyfile(REPOSITORY / name, source / name)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--quiet",
        "--wheel-dir",
        str(folder),
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and "No matching distribution found for setuptools" in done.stderr:
        pytest.skip("pip cannot reach a package index to get setuptools from")
    assert done.returncode == 0, done.stderr[-2000:]
    (path,) = folder.glob("*.whl")
    return path


def test_wheel_holds_what_the_program_reads(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {*DATA}
    for folder, pattern in (
        ("targets", "boards/*.toml"),
        ("toolchain", "report/templates/*"),
        ("toolchain", "templates/*"),
        ("converters", "mcu/kernels/**/*.[ch]"),
        ("device_agent", "firmware/**/*"),
        ("device_agent", "**/*.py"),
        ("toolchain", "**/*.py"),
        ("converters", "**/*.py"),
        ("targets", "**/*.py"),
    ):
        found = [path for path in (REPOSITORY / folder).glob(pattern) if path.is_file()]
        assert found, f"{folder}/{pattern} matches nothing"
        expected |= {f"edgepack/{path.relative_to(REPOSITORY)}" for path in found}
    assert expected - names == set()
    assert not [name for name in names if name.startswith(("tests/", "targets/", "toolchain/"))]


def test_installed_wheel_runs(wheel: Path, tmp_path: Path) -> None:
    """From a folder of its own, with this interpreter's libraries but not this repository."""
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--quiet",
        "--target",
        str(tmp_path),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    libraries = [entry for entry in sys.path if entry.endswith(("site-packages", "dist-packages"))]
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}]; sys.path += {libraries!r}\n"
        "import edgepack; from edgepack.toolchain.deploy.agent_bundle import agent_bundle\n"
        f"assert edgepack.__file__.startswith({str(tmp_path)!r}), edgepack.__file__\n"
        "assert len(agent_bundle().data) > 10_000\n"
        "from edgepack.toolchain.cli.main import run; sys.exit(run(sys.argv[1:]))\n"
    )

    def edgepack(*arguments: str) -> str:
        command = [sys.executable, "-I", "-S", "-c", code, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "rpi-zero2w" in edgepack("targets")
    assert "edgepack.toml" in edgepack("init", "project")
