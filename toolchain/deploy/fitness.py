"""Whether a device can be given work now: the probe before each deployment and each benchmark.

Rules:
    * A device that is not fit is skipped with the reason; nothing is remembered, so the next call asks again.
    * Who said that the lease may be waited for, or stolen, is not stopped by it here.
    * Heat, a weak supply and a full disk stop a benchmark only: the first two spoil no installation, and a
      deployment finds out by itself how much space it needs.
    * A wrong clock stops nothing, since durations come from the monotonic clock: `devices check` tells of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.targets.units import format_bytes
from edgepack.toolchain.deploy.contention import told
from edgepack.toolchain.deploy.messages import Health
from edgepack.toolchain.errors import AgentError, UnfitError

if TYPE_CHECKING:
    from edgepack.toolchain.deploy.agent_session import AgentSession
    from edgepack.toolchain.deploy.contention import Contention

MIN_FREE_BYTES = 1 << 20
"""Notes and logs of a job; the room for its record is asked for when its size is known."""

MAX_TEMPERATURE_C = 85.0
"""A Raspberry Pi throttles at 80 to 85 °C, most others above. Source: Raspberry Pi documentation, "Frequency
management and thermal control"."""


def require_fit(session: AgentSession, contention: Contention, *, measuring: bool) -> None:
    """Make sure that a device can be given work.

    Args:
        session: The device's agent.
        contention: What to do where somebody else works on the device.
        measuring: Whether it is to be measured, and not only to install something.

    Raises:
        UnfitError: It cannot; says why.
        AgentError: "busy": somebody works on it.
    """
    health = session.request("health", Health)
    device = session.device.name
    if health.lease is not None and contention.wait_s <= 0 and contention.steal is None:
        message = f"{device}: {told(health.lease)}."
        remedy = f"Wait with --wait, ask {health.lease.owner}, or take the device over with --steal REASON."
        raise AgentError(message, remedy=remedy, code="busy")
    if measuring and (reason := unfit(health)):
        what, remedy = reason
        message = f"{device} was skipped: {what}."
        raise UnfitError(message, remedy=f"{remedy} The next call asks the device again.")


def unfit(health: Health) -> tuple[str, str] | None:
    """Return why a device cannot be measured now and what to do, or None where it can."""
    free = health.free_bytes
    if free is not None and free < MIN_FREE_BYTES:
        return f"only {format_bytes(free)} are free on its disk", "Remove packages, or free space there."
    if health.throttling is not None and health.throttling.now:
        now = " and ".join(health.throttling.now)
        return f"it reports {now} at this moment", "Give it a stronger supply, or let it cool down."
    hot = [each for each in health.temperatures_c or () if each.value >= MAX_TEMPERATURE_C]
    if hot:
        return f"{hot[0].name} is at {hot[0].value:.0f} °C", "Let it cool down."
    return None
