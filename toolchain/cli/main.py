"""`edgepack <verb>`: the table of verbs and the one place where errors end the program.

Rules:
    * The table is literal and holds the short help, so that `edgepack --help` and shell completion import
      no command. A test compares it with each command's own help.
    * A command module imports only click and the standard library at its top, the work inside.
    * Every failure leaves here: message, remedy, exit code (`docs/exit-codes.md`). `--traceback` shows all.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from edgepack import __version__

EXIT_BUG = 1
EXIT_INTERRUPTED = 130

COMMANDS: dict[str, tuple[str, str]] = {
    "bench": ("edgepack.toolchain.cli.bench", "Measure an installed package on devices."),
    "build": ("edgepack.toolchain.cli.build", "Build signed packages from a model."),
    "collect": ("edgepack.toolchain.cli.collect", "Bring home the records that devices have kept."),
    "compare": (
        "edgepack.toolchain.cli.compare",
        "Compare runs, and fail where one is worse than a limit.",
    ),
    "deploy": ("edgepack.toolchain.cli.deploy", "Install a package on devices."),
    "devices": ("edgepack.toolchain.cli.devices", "Add, trust, check, list and remove devices."),
    "init": ("edgepack.toolchain.cli.init", "Write a commented edgepack.toml and lab.toml."),
    "inspect": (
        "edgepack.toolchain.cli.inspect",
        "Show what a model needs, and whether a target can run it.",
    ),
    "jobs": ("edgepack.toolchain.cli.jobs", "List, end and remove benchmarks that devices keep."),
    "keys": ("edgepack.toolchain.cli.keys", "Show or create the key that signs packages."),
    "lab": ("edgepack.toolchain.cli.lab", "Emulate devices on this machine, for tests without a board."),
    "report": ("edgepack.toolchain.cli.report", "Show and export kept results."),
    "rollback": ("edgepack.toolchain.cli.rollback", "Return devices to the last good package."),
    "run": ("edgepack.toolchain.cli.run", "Build, deploy, bench and report: the main job."),
    "targets": ("edgepack.toolchain.cli.targets", "List the targets, or show one."),
    "verify": ("edgepack.toolchain.cli.verify", "Check a package: structure, hashes, signature."),
}


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and none for its help page."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """Complete command names from the table alone."""
        from click.shell_completion import CompletionItem

        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        return [CompletionItem(name, help=COMMANDS[name][1]) for name in names]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, and suggest the nearest name for an unknown one."""
        from edgepack.targets.errors import nearest

        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            ctx.fail(f"There is no command '{args[0]}'.{nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "EDGEPACK",
        "max_content_width": 100,
    },
)
@click.version_option(__version__, prog_name="edgepack")
@click.option("--traceback", is_flag=True, help="Show the Python traceback of an error.")
def cli(traceback: bool) -> None:
    """Make a trained model run, measured, on the device it is meant for.

    Start with `edgepack init`, then `edgepack run`. Every command takes --json.
    """
    if traceback:
        os.environ["EDGEPACK_TRACEBACK"] = "1"


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; never raises and never exits."""
    from edgepack.targets.errors import EdgepackError

    # No plugin is used, and looking for them reads the metadata of every installed distribution.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    stdout = sys.stdout
    try:
        result = cli.main(args=arguments, prog_name="edgepack", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as err:
        err.show()
        return err.exit_code
    except (click.Abort, KeyboardInterrupt):
        # Where the interrupt passed through exec() of a string (dataclasses are made so), CPython would end
        # by SIGINT in place of our exit code, although we caught it; the next exec() clears that mark.
        exec("", {})
        return _fail(
            "interrupted",
            "Interrupted.",
            "Finished stages are kept: run the same command to go on.",
            EXIT_INTERRUPTED,
        )
    except EdgepackError as err:
        return _fail(type(err).__name__, err.message, err.remedy, err.exit_code)
    except (BrokenPipeError, SystemExit) as err:
        # The reader of our output went away (`edgepack targets | head`): point stdout at nothing and leave.
        # Where click sees it first, it wraps stdout and exits with status 1.
        if isinstance(err, SystemExit) and sys.stdout is stdout:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as err:  # the last resort: a user never sees a bare traceback
        message = f"A bug in edgepack: {type(err).__name__}: {err}"
        return _fail(
            "bug", message, "Run it again with `edgepack --traceback …` and report what it prints.", EXIT_BUG
        )


def _fail(kind: str, message: str, remedy: str, exit_code: int) -> int:
    """Show a failure to a person on stderr and, under --json, to a program on stdout."""
    from edgepack.toolchain.cli.output import show_failure

    if os.environ.get("EDGEPACK_TRACEBACK") == "1":
        import traceback

        traceback.print_exc()
    show_failure(kind, message, remedy, exit_code)
    return exit_code


def main() -> None:
    """Enter from the command line."""
    sys.exit(run())


if __name__ == "__main__":
    main()
