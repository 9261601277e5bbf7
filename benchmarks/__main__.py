"""Every benchmark, one after the other, or the one that is named.

    python -m benchmarks                        run all with their defaults
    python -m benchmarks --list                 say what there is
    python -m benchmarks NAME [options]         run one; `NAME --help` shows its options

Each runs in a process of its own. One that cannot run here says why and is left out.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from pathlib import Path

from benchmarks.timing import LEFT_OUT

ORDER = (
    "startup",
    "rebuild",
    "quantize",
    "fidelity",
    "overhead",
    "energy",
    "stability",
    "gate",
    "push",
    "fleet",
    "mcu",
)
HERE = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", choices=ORDER)
    parser.add_argument("--list", action="store_true", help="say what there is")
    known, rest = parser.parse_known_args(sys.argv[1:2])
    if known.list:
        for name in ORDER:
            print(f"{name:10} {first_line(name)}")
        return 0
    if known.name:
        return run(known.name, sys.argv[2:])
    if rest:
        parser.error(f"unknown option {rest[0]}")
    ends = {name: run(name, []) for name in ORDER}
    words = {0: "done", LEFT_OUT: "left out"}
    print("\n" + "\n".join(f"{name:10} {words.get(end, 'failed')}" for name, end in ends.items()))
    return int(any(end not in words for end in ends.values()))


def run(name: str, arguments: list[str]) -> int:
    print(f"\n== {name}: {first_line(name)}", flush=True)
    return subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments], check=False).returncode


def first_line(name: str) -> str:
    """Return the first line of a benchmark's docstring, without loading it."""
    text = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
