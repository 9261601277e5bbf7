"""The agent's command line; the only place that ends the process.

    python -I -S <agent.pyz> serve --work-dir DIR         answer a host on stdin and stdout
    python -I -S <agent.pyz> job --work-dir DIR --job ID  be a benchmark job (started by `serve`)
    python -I [-S] <agent.pyz> child                      load a runtime, answer one request (by both)

`<agent.pyz>` is a zip whose root holds this folder under the name `edgepack_agent`, and a `__main__.py` that
unpacks both into the folder `<agent>` beside it, where they are not yet, and calls `main`. The folder runs as
`python -I -S <folder> serve` too.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import signal
import sys
from typing import Any, NoReturn

from .errors import AgentError, StoppedError


def main() -> NoReturn:
    """Run the command of `sys.argv` and end the process with its status."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command.

    Returns:
        The exit status: 0 fine, 1 failed, 2 wrong usage, 143 ended by a signal.
    """
    parser = argparse.ArgumentParser(prog="edgepack-agent")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("serve", "job"):
        commands.add_parser(name).add_argument("--work-dir", required=True)
    commands.choices["job"].add_argument("--job", required=True)
    commands.add_parser("child")
    options = parser.parse_args(arguments)
    if options.command == "child":
        from .child import main as child

        return child()
    from .layout import open_work_dir

    try:
        work = open_work_dir(options.work_dir)
        return _job(work, options.job) if options.command == "job" else _serve(work)
    except (AgentError, OSError) as err:
        sys.stderr.write(f"edgepack-agent: {err}\n")
        return 1


def agent_hash() -> str:
    """Return the first 16 digits of the agent file's SHA-256; "source" where there is no such file."""
    from .children import AGENT_PATH

    files = (AGENT_PATH, AGENT_PATH.with_name(f"{AGENT_PATH.name}.pyz"))  # the zip, or where this came from
    found = next((path for path in files if path.is_file()), None)
    return hashlib.sha256(found.read_bytes()).hexdigest()[:16] if found else "source"


def _serve(work: Any) -> int:
    from .dispatch import serve
    from .lease import heal_if_free
    from .protocol import take_stdio

    channel = take_stdio()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        heal_if_free(work)
        serve(channel, work, agent_hash())
    except StoppedError as err:
        return 128 + signal.SIGTERM if err.args else 0
    return 0


def _job(work: Any, job_id: str) -> int:
    from .job_process import run_job

    return run_job(work, job_id)


def _stop(number: int, _: Any) -> None:
    """Unwind, so that the lease is released and temporary files go; a second signal must not disturb that."""
    for other in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with contextlib.suppress(OSError):
            signal.signal(other, signal.SIG_IGN)
    raise StoppedError(number)


if __name__ == "__main__":
    main()
