"""One user at a time on a device: wait until it is free, or take it over for a reason.

Rules:
    * A device that somebody works on is an error at once, unless the user said how long to wait.
    * Waiting asks the device again and again, and tells who holds it and since when.
    * A reason goes with a lease that is stolen: to the former holder, and onto the record of the run.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from edgepack.toolchain.deploy.messages import LeaseState
from edgepack.toolchain.errors import AgentError
from edgepack.toolchain.progress import silent

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgepack.toolchain.deploy.agent_session import AgentSession
    from edgepack.toolchain.deploy.messages import LeaseHolder
    from edgepack.toolchain.progress import Report

T = TypeVar("T")
POLL_S = 2.0


@dataclass(frozen=True)
class Contention:
    """What to do where somebody else works on the device.

    Attributes:
        wait_s: How many seconds to wait for it; infinity for as long as it takes.
        steal: Why to take it over; None to respect the other.
    """

    wait_s: float = 0.0
    steal: str | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """The field of the requests that take the lease."""
        return {} if self.steal is None else {"steal": self.steal}


RESPECT = Contention()


def when_free(
    session: AgentSession, contention: Contention, action: Callable[[], T], *, report: Report = silent
) -> T:
    """Do what needs the device's lease, as soon as it is free.

    Args:
        session: The device's agent.
        contention: How long to wait.
        action: Raises `AgentError` with the code "busy" while somebody else holds the lease.
        report: Told who holds it, since when.

    Raises:
        AgentError: "busy": it was not free in time; or what `action` raises.
    """
    deadline = time.monotonic() + contention.wait_s
    while True:
        try:
            return action()
        except AgentError as err:
            if err.code != "busy" or time.monotonic() >= deadline:
                raise
        _wait(session, deadline, report)


def _wait(session: AgentSession, deadline: float, report: Report) -> None:
    """Wait until nobody holds the lease, or until the deadline."""
    while (holder := session.request("lease.get", LeaseState).lease) is not None:
        report(f"waiting: {told(holder)}", 0, 0)
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return
        time.sleep(min(POLL_S, left_s))


def told(holder: LeaseHolder) -> str:
    """Say who holds a device, for what, and since when."""
    text = f"{holder.owner} is {holder.purpose}"
    if holder.held_s is None:
        return text
    minutes = int(holder.held_s // 60)
    return f"{text}, since {minutes} min" if minutes else f"{text}, since less than a minute"
