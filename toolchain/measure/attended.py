"""Waiting for a job over links that fail: what a process does that must not lose sight of it.

While this process records a device's power meter, a record that another process brings home has no energy.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from edgepack.toolchain.deploy.agent_session import open_session
from edgepack.toolchain.errors import JobGoesOnError, NetworkError
from edgepack.toolchain.measure.job import wait_for_job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.toolchain.deploy.agent_session import AgentSession
    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.deploy.inventory import Device, Lab
    from edgepack.toolchain.measure.job import BenchSpec
    from edgepack.toolchain.progress import Report

_BETWEEN_TRIES_S = 2.0


@contextmanager
def finished_job(
    session: AgentSession,
    job_id: str,
    spec: BenchSpec,
    lab: Lab,
    *,
    patience_s: float,
    report: Report,
    cancellation: Cancellation,
) -> Iterator[AgentSession]:
    """Wait until a job has finished, over new links where one fails; yield the session that works then.

    Args:
        session: The device's agent.
        job_id: The job.
        spec: What it measures.
        lab: The inventory that the device is part of.
        patience_s: For how long a new link is tried, each time that one fails; 0 for not at all.
        report: Is told of progress.
        cancellation: Ends the waiting from another thread.

    Raises as `wait_for_job`.
    """
    with ExitStack() as stack:
        while True:
            try:
                wait_for_job(session, job_id, spec, report=report)
                break
            except JobGoesOnError as err:
                if patience_s:
                    report("the link failed: looking for the device", 0, 0)
                session = _again(stack, session.device, lab, err, patience_s, cancellation)
        yield session


def _again(
    stack: ExitStack,
    device: Device,
    lab: Lab,
    lost: JobGoesOnError,
    patience_s: float,
    cancellation: Cancellation,
) -> AgentSession:
    deadline_s = time.monotonic() + patience_s
    while time.monotonic() < deadline_s and not cancellation.cancelled:
        with suppress(NetworkError):
            return stack.enter_context(open_session(device, lab, cancellation=cancellation))
        cancellation.wait(_BETWEEN_TRIES_S)
    raise lost
