"""One owner at a time: whoever installs, removes or measures on this device holds its lease.

Rules:
    * The lease is `lease.json`; it is read and changed only under a lock (`flock`) on `lease.lock`, held
      for milliseconds.
    * Its holder renews it. It is void when the holder's process is gone, when the machine was started
      anew since, or when it was not renewed in time (the holder hangs).
    * Time is the monotonic clock's: a Raspberry Pi's wall clock jumps by years when it first hears of NTP.
    * A holder checks that the lease is still its own before the step that cannot be taken back.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any

from . import process
from .durable import read_json, write_json
from .errors import AgentError
from .layout import heal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .layout import WorkDir

LIFETIME_S = 300.0
RENEWAL_S = 60.0


class Lease:
    """The right to change the device, while it is held.

    Attributes:
        token: What tells this lease from every other.
    """

    def __init__(self, work: WorkDir, token: str) -> None:
        self.token = token
        self._work = work
        self._path = work.root / "lease.json"
        self._stop = threading.Event()

    def check(self) -> None:
        """Make sure that the lease is still held, and renew it.

        Raises:
            AgentError: Somebody has taken it over.
        """
        with guard(self._work):
            self._renew()

    def _renew(self, **changes: Any) -> None:
        note = read_json(self._path)
        if not isinstance(note, dict) or note.get("token") != self.token:
            message = "The lease on this device was lost: it expired, and somebody else took it over."
            raise AgentError("busy", message, "Try again when the device is free.")
        write_json(self._path, {**note, **changes, "expires_clock_ns": _expiry()})

    def hand_over(self, pid: int) -> None:
        """Make another process the holder, which is this lease's from now on (`adopt`), not this process's.

        Raises:
            AgentError: The lease is no longer held.
        """
        self._stop.set()
        with guard(self._work):
            self._renew(**process.identify(pid))

    def release(self) -> None:
        """Give the lease back, if it is still held."""
        self._stop.set()
        with guard(self._work):
            note = read_json(self._path)
            if isinstance(note, dict) and note.get("token") == self.token:
                self._path.unlink()

    def keep_alive(self) -> None:
        """Renew the lease from now on, from a thread, until it is released, handed over or lost."""
        threading.Thread(target=self._renew_for_ever, daemon=True).start()

    def _renew_for_ever(self) -> None:
        while not self._stop.wait(RENEWAL_S):
            try:
                self.check()
            except (AgentError, OSError):
                return


@contextlib.contextmanager
def guard(work: WorkDir) -> Iterator[None]:
    """Hold the lock under which the lease is read and changed; for milliseconds only."""
    descriptor = os.open(work.root / "lease.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def acquire(work: WorkDir, *, owner: str, purpose: str) -> Lease:
    """Take the lease, clean up after a holder that was killed, and keep it alive.

    Args:
        work: The work directory.
        owner: Whom to ask while it is held, such as "ann@laptop".
        purpose: What it is held for, as a participle: "installing fashion".

    Raises:
        AgentError: `busy`: another owner holds it.
    """
    lease = Lease(work, secrets.token_hex(8))
    with guard(work):
        if held := _living_note(work):
            raise _busy(held)
        write_json(
            work.root / "lease.json",
            {
                "owner": owner,
                "purpose": purpose,
                "token": lease.token,
                "expires_clock_ns": _expiry(),
                **process.identify(os.getpid()),
            },
        )
        heal(work)
    lease.keep_alive()
    return lease


def adopt(work: WorkDir, token: str) -> Lease:
    """Go on holding a lease that another process has taken for this one.

    Raises:
        AgentError: `busy`: it was lost in between.
    """
    Lease(work, token).hand_over(os.getpid())
    lease = Lease(work, token)
    lease.keep_alive()
    return lease


@contextlib.contextmanager
def hold(work: WorkDir, *, owner: str, purpose: str) -> Iterator[Lease]:
    """Hold the lease for the length of a block. Raises as `acquire` does."""
    lease = acquire(work, owner=owner, purpose=purpose)
    try:
        yield lease
    finally:
        lease.release()


def heal_if_free(work: WorkDir) -> None:
    """Clean up after a killed agent, unless somebody works on the device right now."""
    with guard(work):
        if _living_note(work) is None:
            heal(work)


def _expiry() -> int:
    return process.clock_ns() + int(LIFETIME_S * 1e9)


def _living_note(work: WorkDir) -> dict[str, Any] | None:
    note = read_json(work.root / "lease.json")
    if not isinstance(note, dict) or not process.is_alive(note):
        return None
    expires = note.get("expires_clock_ns")
    return note if isinstance(expires, int) and expires > process.clock_ns() else None


def _busy(note: dict[str, Any]) -> AgentError:
    left_s = (note["expires_clock_ns"] - process.clock_ns()) / 1e9
    until = time.strftime("%H:%M:%S", time.localtime(time.time() + left_s))
    message = (
        f"{note.get('owner')} is {note.get('purpose')} on this device; "
        f"the lease is renewed while that goes on, and expires at {until} (device time) otherwise."
    )
    return AgentError("busy", message, f"Wait until it is done, or ask {note.get('owner')}.")
