"""The process that a benchmark job is: it measures, keeps the record, gives the lease back.

It goes on when the agent that started it ends. Asked to end (SIGTERM) it unwinds, so that what was changed on
the device for the length of the benchmark is put back.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import traceback
from typing import IO, TYPE_CHECKING, Any

from . import job_folder, process, record_file
from .durable import read_json, write_json
from .errors import AgentError, StoppedError, from_os_error
from .lease import adopt

if TYPE_CHECKING:
    from pathlib import Path

    from .layout import WorkDir
    from .lease import Lease


def run_job(work: WorkDir, job_id: str) -> int:
    """Be the job's process.

    Returns:
        The exit status.
    """
    folder = work.jobs / job_id
    sys.stderr = _Log(sys.stderr)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        _measure_and_keep(work, folder)
    except StoppedError:
        return 128 + signal.SIGTERM  # who sent the signal has said why
    except AgentError as err:
        failure = err
    except OSError as err:
        failure = from_os_error(err)
    except Exception as err:
        traceback.print_exc()
        message = f"The benchmark failed: {type(err).__name__}: {err}."
        failure = AgentError("internal", message, "This is a bug in edgepack; please report it.")
    else:
        return 0
    with contextlib.suppress(OSError):  # a full disk takes no failure either: the job is lost then
        job_folder.fail(folder, failure)
    return 1


def _measure_and_keep(work: WorkDir, folder: Path) -> None:
    from .benchmark import measure

    with contextlib.suppress(OSError):  # the agent writes it too; either may be the first, or the only one
        write_json(folder / "process.json", process.identify(os.getpid()))
    order = read_json(folder / "job.json")
    lease = adopt(work, order["lease"])
    try:
        record = measure(work, folder, order)
        _keep(folder, lease, record)
    finally:
        lease.release()


def _keep(folder: Path, lease: Lease, record: dict[str, Any]) -> None:
    """Write the record; while the disk is full it stays in memory, and the lease is free."""
    data = json.dumps(record, separators=(",", ":"), allow_nan=False).encode()

    def waiting() -> None:
        job_folder.tell(folder, "waiting for disk space", 0, 0)
        lease.release()  # whoever wants to free space by removing a package needs it

    record_file.write(folder, data, waiting)


def _stop(number: int, _: Any) -> None:
    """Unwind once; a second signal must not disturb that."""
    for other in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    raise StoppedError(number)


class _Log:
    """stderr, which is the job's log file: where the disk is full, lines are dropped and nothing fails."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write to the log, if it takes it."""
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()
        return len(text)

    def flush(self) -> None:
        """Do nothing: each write was flushed."""
