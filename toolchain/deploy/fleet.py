"""The same work on many devices at once, each on its own: what happens to one does not touch the others.

Rules:
    * At most `parallel` devices work at a time. A device that has not answered within a second lends its slot
      to the next one, so that a dead device delays nobody.
    * Only a `NetworkError` is tried again, after a pause that doubles.
    * A device that does not even answer may be revived (switched off and on) once, then it is tried again.
    * The outcome of every device comes back, success or error; nothing is raised for one of them.
    * Ctrl-C closes all connections, and then is raised as ever.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from edgepack.targets.errors import EdgepackError
from edgepack.toolchain.deploy.connection import Cancellation
from edgepack.toolchain.errors import DeployError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.deploy.inventory import Device
    from edgepack.toolchain.progress import Report

T = TypeVar("T")
Revive = Callable[["Device", Cancellation, Callable[[str], None]], "str | None"]
"""Makes a device answer again: device, cancellation, what to tell; returns what was done, or raises."""

State = Literal["waiting", "working", "retrying", "done", "failed"]

_LEND_AFTER_S = 1.0
_GIVE_UP_AFTER_S = 5.0
_FIRST_PAUSE_S = 1.0
_CONNECTING = "connect"


@dataclass(frozen=True)
class FleetEvent:
    """A device has come on.

    Attributes:
        device: Name of the device.
        state: Where its work stands.
        stage: What is being done, such as "push"; in "retrying" and "failed" the reason.
        done: How much of the stage is done.
        total: Of how much; 0 where it is not known.
        attempt: 1 for the first attempt.
    """

    device: str
    state: State
    stage: str
    done: int
    total: int
    attempt: int


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """How the work ended on one device.

    Attributes:
        device: The device.
        value: What the work returned; None where it failed.
        error: Why it failed; None where it did not.
        attempts: How often it was tried.
        duration_s: Seconds from its first attempt to its end.
        revived: What was done to make it answer; None where nothing was.
    """

    device: Device
    value: T | None
    error: EdgepackError | None
    attempts: int
    duration_s: float
    revived: str | None = None


def run_fleet(
    devices: Sequence[Device],
    work: Callable[[Device, Report, Cancellation], T],
    *,
    parallel: int = 16,
    attempts: int = 3,
    listen: Callable[[FleetEvent], None] | None = None,
    revive: Revive | None = None,
) -> list[Outcome[T]]:
    """Do the same work on many devices.

    Args:
        devices: The devices.
        work: Called once an attempt, in a thread of its own; it tells its stages, "connect" first, and hands
            the cancellation to `open_session`.
        parallel: How many devices work at a time.
        attempts: How often the work is tried on a device whose link fails.
        listen: Told what happens, from several threads, one event at a time.
        revive: Called at most once a device, where it does not answer at all; None for never.

    Returns:
        One outcome a device, in the order of the devices.

    Raises:
        KeyboardInterrupt: The user pressed Ctrl-C; all connections were closed.
        Exception: Whatever `work` raised that is no `EdgepackError`: a bug, after all devices have ended.
    """
    cancellation = Cancellation()
    lock = threading.Lock()
    outcomes: dict[int, Outcome[T]] = {}
    bugs: list[BaseException] = []
    # Waited on in place of the threads: a Thread.join that was interrupted takes a running thread for ended
    # (bpo-45274).
    ended = [threading.Event() for _ in devices]
    slots = threading.Semaphore(parallel)

    def tell(event: FleetEvent) -> None:
        if listen:
            with lock:
                listen(event)

    def run_one(index: int, device: Device) -> None:
        try:
            outcomes[index] = _Worker(device, work, slots, cancellation, tell, revive).run(attempts)
        except BaseException as err:
            bugs.append(err)
        finally:
            ended[index].set()

    threads = [
        threading.Thread(target=run_one, args=item, name=f"edgepack-{item[1].name}", daemon=True)
        for item in enumerate(devices)
    ]
    for thread in threads:
        thread.start()
    try:
        for end in ended:
            end.wait()
    except BaseException:
        cancellation.cancel()
        for end in ended:
            end.wait(timeout=_GIVE_UP_AFTER_S)
        raise
    if bugs:
        raise bugs[0]
    return [outcomes[index] for index in range(len(devices))]


class _Slot:
    """A place at work, lent to another device while its holder still waits for an answer."""

    def __init__(self, slots: threading.Semaphore) -> None:
        slots.acquire()
        self._slots = slots
        self._lock = threading.Lock()
        self._is_held = True
        self._may_lend = True
        self._timer = threading.Timer(_LEND_AFTER_S, self._lend)
        self._timer.daemon = True
        self._timer.start()

    def claim(self) -> None:
        """Lend no more, and take the place back where it was lent."""
        self._timer.cancel()
        with self._lock:
            self._may_lend = False
            if not self._is_held:
                self._slots.acquire()
                self._is_held = True

    def release(self) -> None:
        """Give the place up."""
        self._timer.cancel()
        with self._lock:
            self._may_lend = False
            self._give()

    def _lend(self) -> None:
        with self._lock:
            if self._may_lend:
                self._give()

    def _give(self) -> None:
        if self._is_held:
            self._is_held = False
            self._slots.release()


class _Worker(Generic[T]):
    """The work on one device, attempt after attempt."""

    def __init__(
        self,
        device: Device,
        work: Callable[[Device, Report, Cancellation], T],
        slots: threading.Semaphore,
        cancellation: Cancellation,
        tell: Callable[[FleetEvent], None],
        revive: Revive | None,
    ) -> None:
        self._device = device
        self._work = work
        self._slots = slots
        self._cancellation = cancellation
        self._tell = tell
        self._attempt = 1
        self._revive = revive
        self._revived: str | None = None
        self._has_answered = False

    def run(self, attempts: int) -> Outcome[T]:
        """Try until it succeeds, fails for good, or the attempts are used up."""
        self._say("waiting", "")
        started = None
        pause_s = _FIRST_PAUSE_S
        while True:
            slot = _Slot(self._slots)
            started = started or time.monotonic()
            try:
                value, error = self._attempt_once(slot), None
            except EdgepackError as err:
                value, error = None, err
            finally:
                slot.release()
            duration_s = time.monotonic() - started
            if error is None:
                self._say("done", "")
                return Outcome(self._device, value, None, self._attempt, duration_s, self._revived)
            if isinstance(error, NetworkError) and not self._has_answered and self._may_revive():
                try:
                    self._revived = self._switch()
                    attempts += 1
                except EdgepackError as err:
                    error = err
            is_last = self._attempt >= attempts or not isinstance(error, NetworkError)
            if is_last or self._cancellation.cancelled:
                self._say("failed", error.message)
                return Outcome(self._device, None, error, self._attempt, duration_s, self._revived)
            self._say("retrying", error.message)
            # Devices that lost their link together do not come back together.
            self._cancellation.wait(pause_s * random.uniform(0.75, 1.25))
            pause_s *= 2
            self._attempt += 1

    def _may_revive(self) -> bool:
        return self._revive is not None and not self._cancellation.cancelled

    def _switch(self) -> str | None:
        """Make the device answer again, once."""
        revive, self._revive = self._revive, None
        assert revive is not None
        return revive(self._device, self._cancellation, lambda text: self._say("retrying", text))

    def _attempt_once(self, slot: _Slot) -> T:
        def report(stage: str, done: int, total: int) -> None:
            if stage != _CONNECTING:
                self._has_answered = True
                slot.claim()
            self._say("working", stage, done, total)

        if self._cancellation.cancelled:
            message = f"{self._device.name}: not begun, since the work was cancelled."
            raise DeployError(message, remedy="Run the same command again.")
        report(_CONNECTING, 0, 1)
        return self._work(self._device, report, self._cancellation)

    def _say(self, state: State, stage: str, done: int = 0, total: int = 0) -> None:
        self._tell(FleetEvent(self._device.name, state, stage, done, total, self._attempt))
