"""How long work tells what it is doing, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[str, int, int], None]
"""`report(stage, done, total)`; `total` is 0 where it is not known."""


def silent(stage: str, done: int, total: int) -> None:
    """Listen to nothing."""
