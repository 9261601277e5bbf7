"""A virtual environment of its own for a tool that cannot live beside edgepack, made once and cached.

onnx2tf needs Python 3.12 or newer and pins its own versions of what edgepack also uses. So it gets an
environment in the user's cache, named by its exact requirements.

Rules:
    * An environment is complete when its marker file is there, written last. A virtual environment cannot be
      moved (its scripts name its own path), so it is made in place, and one without a marker is made anew.
    * A lock file lets one build make it while others wait.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.isolation import ChildProcessFailure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PYTHON_VARIABLE = "EDGEPACK_PYTHON312"
"""Environment variable that names the interpreter to make tool environments with."""

_MINIMUM, _BELOW = (3, 12), (3, 14)  # the pinned wheels exist for these
_NAMES = ("python3.12", "python3.13", "python3", "python")
_MARKER = "complete"
_INSTALL_TIMEOUT_S = 1800
_logger = logging.getLogger(__name__)


def tool_python(tool: str, requirements: Sequence[str]) -> Path:
    """Return the interpreter of a tool's environment, which is made on first use.

    Args:
        tool: Name of the tool, such as "onnx2tf".
        requirements: Everything that goes in, pinned; the environment's name depends on it.

    Raises:
        ConversionError: No suitable Python is found, or the installation failed.
    """
    import platformdirs

    base = find_python(tool)
    key = hashlib.sha256("\n".join([str(base), *sorted(requirements)]).encode()).hexdigest()[:16]
    root = platformdirs.user_cache_path("edgepack") / "tools"
    root.mkdir(parents=True, exist_ok=True)
    environment = root / f"{tool}-{key}"
    python = environment / "bin" / "python"
    with _locked(root / f"{tool}-{key}.lock"):
        if not (environment / _MARKER).is_file():
            _logger.info("Installing %s in %s (once, some hundred megabytes)", tool, environment)
            shutil.rmtree(environment, ignore_errors=True)
            _install(tool, base, environment, requirements)
            (environment / _MARKER).write_text("\n".join(requirements) + "\n", encoding="utf-8")
    return python


def find_python(tool: str) -> Path:
    """Return a Python that tool environments can be made with: 3.12 or 3.13, one that really runs.

    Raises:
        ConversionError: There is none, or the one that `EDGEPACK_PYTHON312` names will not do.
    """
    named = os.environ.get(PYTHON_VARIABLE)
    if named:
        if _suits(Path(named)):
            return Path(named)
        msg = f"{PYTHON_VARIABLE} names '{named}', which is not a working Python 3.12 or 3.13 with venv."
        raise ConversionError(msg, remedy=f"Correct {PYTHON_VARIABLE}, or unset it to have one searched.")
    for candidate in _candidates():
        if _suits(candidate):
            return candidate
    msg = f"{tool} needs Python 3.12 or 3.13, and none was found on PATH or under pyenv or uv."
    raise ConversionError(
        msg,
        remedy=f"Install one (`uv python install 3.12`, `pyenv install 3.12` or your system's package), "
        f"or set {PYTHON_VARIABLE} to its path.",
    )


def _candidates() -> Iterator[Path]:
    """Yield interpreters that may do, without repeats; not pyenv's shims, which may not run."""
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT", home / ".pyenv"))
    folders = [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    yield Path(sys.executable)
    for folder in (f for f in folders if f != pyenv / "shims"):
        yield from (folder / name for name in _NAMES if (folder / name).is_file())
    for pattern in ("versions/3.12*/bin/python", "versions/3.13*/bin/python"):
        yield from sorted(pyenv.glob(pattern))
    yield from sorted((home / ".local/share/uv/python").glob("cpython-3.1[23]*/bin/python3"))


def _suits(python: Path) -> bool:
    """Return whether an interpreter runs, has the right version, and can make environments with pip."""
    code = "import ensurepip, venv, sys; print(*sys.version_info[:2])"
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", code],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    major, _, minor = done.stdout.strip().partition(" ")
    return _MINIMUM <= (int(major), int(minor)) < _BELOW


def _install(tool: str, base: Path, environment: Path, requirements: Sequence[str]) -> None:
    python, uv = environment / "bin" / "python", shutil.which("uv")
    if uv is not None:
        _run(tool, [uv, "venv", "--quiet", "--python", str(base), str(environment)])
        _run(tool, [uv, "pip", "install", "--python", str(python), *requirements])
        return
    _run(tool, [str(base), "-I", "-m", "venv", str(environment)])
    _run(tool, [str(python), "-I", "-m", "pip", "install", "--no-input", *requirements])


def _run(tool: str, command: list[str]) -> None:
    try:
        subprocess.run(
            command, check=True, text=True, timeout=_INSTALL_TIMEOUT_S,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as err:
        log = str(getattr(err, "stdout", "") or err).strip()
        last = log.splitlines()[-1] if log else type(err).__name__
        msg = f"The environment for {tool} could not be made: `{Path(command[0]).name}` said: {last}"
        raise ConversionError(
            msg, remedy="Check the network and the free disk space (600 MB), then run the command again."
        ) from ChildProcessFailure(log)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock; the system releases it when the process ends, however it ends."""
    import fcntl

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
