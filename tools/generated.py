"""Files that are made from the code: `--write` makes them, `--check` fails when one is out of date.

Facts that drift when they are kept by hand (exit codes, help texts, schemas) are written from one source.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def exit_codes() -> str:
    """Return the table of exit codes, from the error classes."""
    from edgepack.targets.errors import EdgepackError
    from edgepack.toolchain.cli.main import EXIT_BUG, EXIT_INTERRUPTED

    for module in ("edgepack.targets.errors", "edgepack.converters.errors", "edgepack.toolchain.errors"):
        importlib.import_module(module)
    rows: dict[int, list[tuple[str, str]]] = {}
    pending = EdgepackError.__subclasses__()
    while pending:
        error = pending.pop(0)
        pending += error.__subclasses__()
        summary = (error.__doc__ or "").strip().splitlines()[0]
        rows.setdefault(error.exit_code, []).append((error.__name__, summary))
    lines = [
        "# Exit codes",
        "",
        "Generated from the error classes by `make format`; do not edit.",
        "",
        "| code | error | meaning |",
        "| --- | --- | --- |",
        "| 0 | | Success. |",
        f"| {EXIT_BUG} | | A bug in edgepack: run again with `edgepack --traceback` and report it. |",
        "| 2 | | Wrong usage of the command line. |",
    ]
    for code in sorted(rows):
        for name, summary in rows[code]:
            lines.append(f"| {code} | `{name}` | {summary} |")
    lines.append(f"| {EXIT_INTERRUPTED} | | Interrupted (Ctrl-C). Finished stages are kept. |")
    return "\n".join(lines) + "\n"


def cli_help() -> str:
    """Return the help text of every command."""
    import click

    from edgepack.toolchain.cli.main import cli

    lines = ["# Command line", "", "Generated from the commands by `make format`; do not edit.", ""]

    def add(command: click.Command, path: str, parent: click.Context | None) -> None:
        context = click.Context(command, info_name=path.rpartition(" ")[2], parent=parent, **_WIDTH)
        lines.extend([f"## {path}", "", "```text", command.get_help(context).rstrip(), "```", ""])
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                assert child is not None
                add(child, f"{path} {name}", context)

    add(cli, "edgepack", None)
    return "\n".join(lines)


_WIDTH = {"terminal_width": 100, "max_content_width": 100}


def schema(name: str) -> str:
    """Return a published JSON Schema."""
    from edgepack.toolchain.results.json_schema import published_schemas

    return published_schemas()[name]


def mcu_operators() -> str:
    """Return the table of operators that can be compiled to C."""
    from edgepack.converters.mcu.support import operator_table

    lines = [
        "# Operators in generated C",
        "",
        "Generated from the code by `make format`; do not edit. What a model needs beyond this (types,",
        "shapes) is checked when it is compiled; `edgepack inspect MODEL --target cortex-m4` says what is",
        "missing.",
        "",
    ]
    return "\n".join(lines) + "\n" + operator_table()


GENERATED = {
    "docs/cli.md": cli_help,
    "docs/exit-codes.md": exit_codes,
    "docs/microcontroller-operators.md": mcu_operators,
    "docs/schemas/manifest-v1.json": lambda: schema("manifest-v1.json"),
    "docs/schemas/run-record-v2.json": lambda: schema("run-record-v2.json"),
}


def main(arguments: list[str]) -> int:
    """Write or check the generated files and return the exit code."""
    write = arguments == ["--write"]
    if not write and arguments != ["--check"]:
        print("usage: python -m tools.generated --write | --check")
        return 2
    stale = []
    for name, make in GENERATED.items():
        path, text = ROOT / name, make()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{'wrote' if write else 'out of date, run `make format`'}: {name}")
    return 1 if stale and not write else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
