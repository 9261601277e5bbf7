"""Switching a device off and on again that does not answer, with the program that lab.toml names for it.

Rules:
    * The program is the user's own, an argument list without a shell, run on this machine once a call.
    * A device that answers is never switched off: somebody's benchmark may run on it.
"""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from edgepack.toolchain.deploy.connection import connect
from edgepack.toolchain.errors import DeployError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.deploy.inventory import Device, Lab

_POLL_S = 2.0
_COMMAND_TIMEOUT_S = 120.0


def power_cycle(
    device: Device, lab: Lab, cancellation: Cancellation, tell: Callable[[str], None]
) -> str | None:
    """Switch a device off and on, and wait until it answers.

    Args:
        device: The device; it has a `power_cycle`.
        lab: The inventory that it is part of.
        cancellation: Ends the waiting from another thread.
        tell: Told what is going on.

    Returns:
        What was done, for the outcome; None where the device answered before anything was done.

    Raises:
        DeployError: The program cannot be run or fails, or the device does not answer in time.
    """
    if _answers(device, lab):
        return None
    tell("does not answer; switching it off and on")
    started = time.monotonic()
    _run(device)
    deadline = started + device.power_cycle_wait_s
    while time.monotonic() < deadline and not cancellation.cancelled:
        tell("waiting for it to start")
        if _answers(device, lab):
            seconds = time.monotonic() - started
            return f"it did not answer and was switched off and on; it answered after {seconds:.0f} s"
        cancellation.wait(_POLL_S)
    message = (
        f"{device.name} does not answer, and did not within {device.power_cycle_wait_s:g} s after it was"
    )
    message += " switched off and on."
    remedy = "Look at the device, or raise 'power_cycle_wait_s' in lab.toml if it starts slowly."
    raise DeployError(message, remedy=remedy)


def _answers(device: Device, lab: Lab) -> bool:
    try:
        connect(device, lab).close()
    except NetworkError:
        return False
    return True


def _run(device: Device) -> None:
    command = list(device.power_cycle or ())
    remedy = f"Correct 'power_cycle' of {device.name} in lab.toml, or leave it out with --no-power-cycle."
    try:
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_COMMAND_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired, ValueError) as err:
        message = f"{device.name}: the power-cycle program '{command[0]}' cannot be run: {err}."
        raise DeployError(message, remedy=remedy) from err
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1][:200]
        message = f"{device.name}: the power-cycle program ended with {done.returncode}. {last}".rstrip()
        raise DeployError(message, remedy=remedy)
