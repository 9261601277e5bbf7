"""A user's folder for each test, and signed packages of a small model that all tests share."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.end_to_end.shell import Shell, clean_environment, made_once
from tests.sshd import Sshd, make_key

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parents[2]


def _make_inputs(folder: Path) -> None:
    from tests.converters.quantize.conftest import build_cnn, images

    build_cnn(folder / "cnn.tflite")
    build_cnn(folder / "fragile.tflite", outlier=3000.0, second=True)
    np.savez(folder / "calibration.npz", x=images(100, 20)[0])
    x, y = images(200, 30)
    np.savez(folder / "evaluation.npz", x=x, y=y)


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models and data: cnn.tflite, fragile.tflite (int8 ruins it), calibration.npz, evaluation.npz."""
    return made_once(tmp_path_factory, "inputs", _make_inputs)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of signing keys: `own`, and `stranger` that nobody trusts."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed (apt install openssh-client)")

    def make(folder: Path) -> None:
        for name in ("own", "stranger"):
            make_key(folder / name)

    return made_once(tmp_path_factory, "keys", make)


@pytest.fixture
def shell(tmp_path: Path, keys: Path) -> Shell:
    """An empty folder and a user who has a signing key."""
    folder = tmp_path / "project"
    folder.mkdir()
    return Shell(folder, clean_environment(tmp_path / "home", EDGEPACK_KEY=str(keys / "own")))


@pytest.fixture
def project(shell: Shell, inputs: Path) -> Shell:
    """A shell in a folder that holds the models, the data and an edgepack.toml of the small model."""
    for path in [*inputs.glob("*.npz"), *inputs.glob("*.tflite")]:
        shutil.copyfile(path, shell.folder / path.name)
    (shell.folder / "edgepack.toml").write_text(
        '[model]\npath = "cnn.tflite"\n\n[data]\nrepresentative = "calibration.npz"\n'
        'evaluation = "evaluation.npz"\n\n[quality]\nmax_drop = 0.05\n\n[build]\ntargets = ["rpi"]\n'
    )
    return shell


@dataclass(frozen=True)
class Packages:
    """Two versions of one package, signed with the key `own`."""

    old: Path
    new: Path


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory, inputs: Path, keys: Path) -> Packages:
    """Two versions of the package "cnn": int8, then float32."""

    def make(folder: Path) -> None:
        environment = clean_environment(folder / "home", EDGEPACK_KEY=str(keys / "own"))
        arguments = ("--target", "rpi", "--name", "cnn", "-p", "int8", "-p", "float32", "--max-drop", "0.05")
        data = ("--representative", inputs / "calibration.npz", "--evaluation", inputs / "evaluation.npz")
        Shell(folder, environment).edgepack("build", inputs / "cnn.tflite", *arguments, *data).ok()

    dist = made_once(tmp_path_factory, "packages", make) / "dist"
    return Packages(dist / "cnn-rpi-int8.epk", dist / "cnn-rpi-float32.epk")


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A real server that tests share; each names a work_dir of its own."""
    with Sshd.start(tmp_path_factory.mktemp("sshd") / "server") as server:
        yield server
