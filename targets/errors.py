"""The root of all edgepack errors, and the errors of target descriptions.

Rules:
    * Every error says what happened, where, and found against expected (`message`), and the one thing to do
      next, with the exact command or key (`remedy`, required).
    * A subclass stands for whose move it is, and carries the exit code of that kind of failure.
    * `toolchain/cli/main.py` is the only place that catches `EdgepackError` to end the program.

Exit codes (the documented table is `docs/exit-codes.md`, checked against this module by a test):
    0 success, 1 a bug in edgepack, 2 wrong usage, 3 and up as on the classes below and in
    `converters/errors.py` and `toolchain/errors.py`, 130 interrupted by the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable


class EdgepackError(Exception):
    """A failure that the user can act on.

    Args:
        message: What happened, where, and found against expected. One sentence, no trailing newline.
        remedy: What to do next, naming the exact command, file or key.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class TargetError(EdgepackError):
    """A target is unknown, ambiguous, badly described, or cannot do what was asked."""

    exit_code = 4


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the nearest candidate, or an empty string.

    Meant to be appended to a message, so that every suggestion in edgepack reads the same.
    """
    import difflib

    found = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.5)
    return f" Did you mean '{found[0]}'?" if found else ""
