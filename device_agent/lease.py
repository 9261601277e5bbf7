"""One owner at a time: whoever installs, removes or measures on this device holds its lease.

Rules:
    * The lease is `lease.json`; it is read and changed only under a lock (`flock`) on `lease.lock`, held
      for milliseconds.
    * Its holder renews it. It is void when the holder's process is gone, when the machine was started
      anew since, or when it was not renewed in time (the holder hangs).
    * Time is the monotonic clock's: a Raspberry Pi's wall clock jumps by years when it first hears of NTP.
    * A holder checks that the lease is still its own before the step that cannot be taken back.
    * Who steals a lease gives a reason; it is told to the former holder, whose work is ended first.
    * A renewal allocates nothing: the holder of a device whose disk is full keeps its lease.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import process
from .durable import overwrite_json, read_json, write_json
from .errors import AgentError
from .layout import heal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .layout import WorkDir

LIFETIME_S = 300.0
RENEWAL_S = 60.0


@dataclass(frozen=True)
class Claim:
    """Who asks for the lease.

    Attributes:
        owner: Whom to ask while it is held, such as "ann@laptop".
        steal_reason: Why it is taken from whoever holds it; None to respect the holder.
    """

    owner: str
    steal_reason: str | None = None


class Lease:
    """The right to change the device, while it is held.

    Attributes:
        token: What tells this lease from every other.
        stolen_from: From whom it was taken; None where nobody held it.
    """

    def __init__(self, work: WorkDir, token: str, stolen_from: str | None = None) -> None:
        self.token = token
        self.stolen_from = stolen_from
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
        overwrite_json(self._path, {**note, **changes, "expires_clock_ns": _expiry()})

    def hand_over(self, pid: int, job_id: str | None = None) -> None:
        """Make another process the holder, which is this lease's from now on (`adopt`), not this process's.

        Args:
            pid: The process.
            job_id: The job that it is, if it is one.

        Raises:
            AgentError: The lease is no longer held.
        """
        self._stop.set()
        with guard(self._work):
            self._renew(**process.identify(pid), **({"job_id": job_id} if job_id else {}))

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
            except AgentError:
                return
            except OSError:
                continue  # the disk may take the next one


@contextlib.contextmanager
def guard(work: WorkDir) -> Iterator[None]:
    """Hold the lock under which the lease is read and changed; for milliseconds only."""
    descriptor = os.open(work.root / "lease.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def acquire(work: WorkDir, claim: Claim, purpose: str, *, job_id: str | None = None) -> Lease:
    """Take the lease, clean up after a holder that was killed, and keep it alive.

    Args:
        work: The work directory.
        claim: Who asks, and whether the lease is stolen.
        purpose: What it is held for, as a participle: "installing fashion".
        job_id: The job that it is held for, if it is one.

    Raises:
        AgentError: `busy`: another owner holds it.
    """
    token = secrets.token_hex(8)
    with guard(work):
        held = _living_note(work)
        if held and claim.steal_reason is None:
            raise _busy(held)
        note = {
            "owner": claim.owner,
            "purpose": purpose,
            "token": token,
            "job_id": job_id,
            "since_clock_ns": process.clock_ns(),
            "expires_clock_ns": _expiry(),
            **process.identify(os.getpid()),
        }
        if held:
            note["stolen"] = {"pid": held["pid"], "reason": claim.steal_reason}
        write_json(work.root / "lease.json", note)
        if not held:
            heal(work)
    lease = Lease(work, token, held.get("owner") if held else None)
    lease.keep_alive()
    if held:
        _evict(work, held, claim)
    return lease


def _evict(work: WorkDir, held: dict[str, Any], claim: Claim) -> None:
    """End the work of the former holder, who has lost the lease already, and clean up after it."""
    if isinstance(held.get("job_id"), str):
        from .job_folder import end_for

        end_for(work.jobs / held["job_id"], stolen(claim.owner, claim.steal_reason))
    if held["pid"] != os.getpid():  # several agents of one process: only in tests
        process.end(held, group=False)
    with guard(work):
        heal(work)


def stolen(owner: Any, reason: Any) -> AgentError:
    """Return what the former holder of a stolen lease is told."""
    message = f"{owner} took this device over: {reason}."
    return AgentError("stolen", message, f"Ask {owner}, or try again with --wait.")


def theft(work: WorkDir, pid: int) -> AgentError | None:
    """Return what to tell the process whose lease was stolen; None where none of its was."""
    note = read_json(work.root / "lease.json")
    taken = note.get("stolen") if isinstance(note, dict) else None
    if not isinstance(taken, dict) or taken.get("pid") != pid:
        return None
    return stolen(note.get("owner"), taken.get("reason"))


def describe(work: WorkDir) -> dict[str, Any] | None:
    """Return who holds the lease, for what and for how long; None where nobody does."""
    with guard(work):
        note = _living_note(work)
    if note is None:
        return None
    now, since = process.clock_ns(), note.get("since_clock_ns")
    return {
        "owner": note.get("owner"),
        "purpose": note.get("purpose"),
        "job_id": note.get("job_id"),
        "held_s": (now - since) / 1e9 if isinstance(since, int) else None,
        "expires_s": (note["expires_clock_ns"] - now) / 1e9,
    }


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
def hold(work: WorkDir, claim: Claim, purpose: str) -> Iterator[Lease]:
    """Hold the lease for the length of a block. Raises as `acquire` does."""
    lease = acquire(work, claim, purpose)
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
    remedy = f"Wait with --wait, ask {note.get('owner')}, or take the device over with --steal REASON."
    return AgentError("busy", message, remedy)
