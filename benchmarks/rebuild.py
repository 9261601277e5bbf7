"""What `edgepack build` costs when nothing has changed since the last build, as a user runs it.

    python -m benchmarks rebuild [--repeats 20]

The example project is copied to a temporary folder and built once (with TensorFlow, which reads its Keras
file). Then whole processes are timed: `edgepack build` with its five precisions, `edgepack build -p int8`
alone, and `edgepack --help`, which is what starting costs in any case.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.timing import Spent, begin, end, interleave, python, run, show, spread

BAR = "under 0.5 s"
EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "fashion"
FILES = ("edgepack.toml", "fashion.keras", "calibration.npz", "evaluation.npz", "labels.txt")
COMMANDS = {
    "build, five precisions": ("build",),
    "build, int8": ("build", "--precision", "int8"),
    "--help": ("--help",),
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args(arguments).repeats
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        environment = prepare(project)
        begin("A rebuild of examples/fashion with nothing changed, whole processes")
        sides = {
            name: partial(run, edgepack(*words), cwd=project, environment=environment)
            for name, words in COMMANDS.items()
        }
        report(interleave(sides, repeats))
    end()


def prepare(project: Path) -> dict[str, str]:
    """Copy and build the example; return the environment that its builds need."""
    for name in FILES:
        shutil.copyfile(EXAMPLE / name, project / name)
    key = project / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    environment = {"EDGEPACK_KEY": str(key)}
    print("Building the example once …", flush=True)
    run(edgepack("build"), cwd=project, environment=environment)
    return environment


def edgepack(*words: str) -> list[str]:
    return python("-m", "edgepack", *words)


def report(results: dict[str, list[Spent]]) -> None:
    for name, spent in results.items():
        bar = BAR if name.startswith("build") else ""
        show(f"{name}, wall", spread([each.wall_s for each in spent]), unit="s", bar=bar)
        show(f"{name}, CPU", spread([each.cpu_s for each in spent]), unit="s")


if __name__ == "__main__":
    main()
