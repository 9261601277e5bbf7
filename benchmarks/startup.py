"""What `edgepack --help` and shell completion cost beside an empty click program with as many commands.

    python -m benchmarks startup [--repeats 40]

The empty program is written to a temporary file: the same number of commands with the same names and short
help, none with an option. Both are started the way an installed command starts, by a three-line script, as
whole processes; completion is asked as bash asks it (`_EDGEPACK_COMPLETE=bash_complete`).
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.timing import Spent, begin, end, interleave, python, ratio, run, show, spread
from edgepack.toolchain.cli.main import COMMANDS

BAR = "at most 1.5"

EDGEPACK = """
import sys
from edgepack.toolchain.cli.main import main
sys.exit(main())
"""

EMPTY = """
import click

@click.group()
def cli():
    '''An empty program.'''
{commands}
cli(prog_name="empty")
"""
EMPTY_COMMAND = '''
@cli.command(name={name!r}, short_help={help!r})
def command_{number}():
    """{help}"""
'''

QUESTIONS = {
    "--help": (("--help",), {}),
    "completion of `de`": ((), {"COMP_WORDS": "{program} de", "COMP_CWORD": "1"}),
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=40)
    repeats = parser.parse_args(arguments).repeats
    begin(f"edgepack against an empty click program of {len(COMMANDS)} commands, whole processes")
    with tempfile.TemporaryDirectory() as folder:
        programs = {name: write(name, Path(folder)) for name in ("edgepack", "empty")}
        for question, (words, variables) in QUESTIONS.items():
            sides = {name: partial(ask, path, name, words, variables) for name, path in programs.items()}
            report(question, interleave(sides, repeats))
    end()


def write(name: str, folder: Path) -> Path:
    commands = "".join(
        EMPTY_COMMAND.format(name=command, help=text, number=number)
        for number, (command, (_, text)) in enumerate(COMMANDS.items())
    )
    path = folder / f"{name}-program"  # no `edgepack.py`: it would hide the package
    path.write_text(EDGEPACK if name == "edgepack" else EMPTY.format(commands=commands), encoding="utf-8")
    return path


def ask(path: Path, name: str, words: tuple[str, ...], variables: dict[str, str]) -> Spent:
    environment = {key: value.format(program=name) for key, value in variables.items()}
    if variables:
        environment[f"_{name.upper()}_COMPLETE"] = "bash_complete"
    return run(python(str(path), *words), environment=environment)


def report(question: str, results: dict[str, list[Spent]]) -> None:
    for name, spent in results.items():
        show(f"{question}, {name}, wall", spread([each.wall_s for each in spent]), unit="s")
    own, empty = results["edgepack"], results["empty"]
    show(
        f"{question}, ratio of wall time", ratio([s.wall_s for s in own], [s.wall_s for s in empty]), bar=BAR
    )
    show(f"{question}, ratio of CPU time", ratio([s.cpu_s for s in own], [s.cpu_s for s in empty]), bar=BAR)


if __name__ == "__main__":
    main()
