"""The one error that the agent answers with: a code of `PROTOCOL.md`, a message, and what to do next."""

from __future__ import annotations

import errno


class AgentError(Exception):
    """A failure that the host is told about.

    Args:
        code: One of the codes of `PROTOCOL.md`.
        message: What happened, where, found against expected.
        remedy: What the user can do next.
    """

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy


class StoppedError(BaseException):
    """The agent has to end now: the host is gone, or a signal came.

    Not an `Exception`, so that no handler of failures swallows it; `finally` blocks still tidy up.
    """


def is_disk_full(err: OSError) -> bool:
    """Return whether an error of the operating system means that no space (or quota) is left."""
    return err.errno in (errno.ENOSPC, errno.EDQUOT)


def from_os_error(err: OSError) -> AgentError:
    """Return what to tell the host about an error of the operating system."""
    if is_disk_full(err):
        return AgentError(
            "disk_full",
            f"No space is left on the device ({err.filename or 'work directory'}).",
            "Free space on the device, or remove a package with `edgepack remove`, then try again.",
        )
    return AgentError(
        "io_error",
        f"The device refused a file operation: {err}.",
        "Check the owner, the permissions and the health of the device's work directory.",
    )
