"""A meter that is cabled to the host, or to a gateway in the lab, recorded while the device works.

    with recorded_meter(device, lab, spec) as meter:     # None where the device reads its own sensor
        meter.compare_clocks(session); ... the job ...; meter.compare_clocks(session)
        meter.values(spans)                               # POWER values, on the device's clock

Rules:
    * The meter is read by an agent on the machine that it is cabled to: the same code as on a device, started
      by SSH, or as a child of this process where that machine is the host.
    * Nothing is said to the meter while the device works: it records without a break, and what windows there
      were is asked afterwards.
    * A meter that fails costs the energy, never the run.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from edgepack.targets.errors import EdgepackError
from edgepack.toolchain.deploy.agent_session import open_session
from edgepack.toolchain.deploy.inventory import Device
from edgepack.toolchain.deploy.messages import Nothing
from edgepack.toolchain.errors import AgentError, MeasurementError
from edgepack.toolchain.measure.clocks import Exchange, OtherClock, best
from edgepack.toolchain.measure.host_power import MeterSpan, Span, meter_span
from edgepack.toolchain.measure.messages import ClockRead, MeterEnergy, MeterStarted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgepack.toolchain.deploy.agent_session import AgentSession
    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.deploy.device_power import DevicePower
    from edgepack.toolchain.deploy.inventory import Lab
    from edgepack.toolchain.measure.job import BenchSpec

AT_HOST = "host"
_EXCHANGES = 16
_SPANS_A_REQUEST = 16  # as the agent allows: the answer has to fit a line


def meter_elsewhere(device: Device, power: str) -> DevicePower | None:
    """Return the device's meter where it is not the device that reads it; None where it is, or none is asked.

    Args:
        device: The device.
        power: What is asked for: "auto", "none", "host", or the name of a sensor.

    Raises:
        MeasurementError: The host's meter is asked for, and lab.toml names none.
    """
    meter = device.power
    if meter is not None and meter.at != "device" and power in ("auto", AT_HOST, meter.sensor):
        return meter
    if power == AT_HOST:
        message = f"{device.name} has no power meter that is cabled to the host."
        remedy = f'Name it in [devices.{device.name}.power] of lab.toml, with at = "host".'
        raise MeasurementError(message, remedy=remedy)
    return None


def require_attended(device: Device, spec: BenchSpec) -> None:
    """Make sure that a benchmark can be left to the device.

    Raises:
        MeasurementError: Its meter is cabled to another machine: nobody would record it.
    """
    if meter := meter_elsewhere(device, spec.power):
        message = f"{device.name}: its power meter '{meter.sensor}' is cabled to the {_place(meter)}"
        message += f' (at = "{meter.at}"), where nobody would record it after --detach.'
        raise MeasurementError(
            message, remedy="Measure without --detach, or without energy: --detach --power none."
        )


@contextlib.contextmanager
def recorded_meter(
    device: Device, lab: Lab, power: str, cancellation: Cancellation | None = None
) -> Iterator[HostMeter | None]:
    """Record a device's meter where another machine reads it, from here to the end of the block.

    Yields:
        The meter; None where the device reads its own sensor, or power is not asked for.

    Raises:
        MeasurementError: The host's meter is asked for, and lab.toml names none.
        ProjectError: The inventory does not have the machine that the meter is cabled to.
        NetworkError: That machine does not answer.
        AgentError: The meter cannot be opened.
    """
    meter = meter_elsewhere(device, power)
    if meter is None:
        yield None
        return
    with open_session(_machine(meter, lab), lab, cancellation=cancellation) as session:
        fields: dict[str, Any] = {"sensor": meter.sensor, "settings": dict(meter.settings)}
        about = session.request("meter.start", MeterStarted, **fields)
        try:
            yield HostMeter(session, about, meter.at)
        finally:
            with contextlib.suppress(EdgepackError, OSError):
                session.request("meter.stop", Nothing)


class HostMeter:
    """A meter that is being recorded.

    Args:
        session: The agent that records it.
        about: What it is.
        at: Where it is cabled: "host", or a name of the inventory.

    Attributes:
        about: What it is.
        at: Where it is cabled.
    """

    def __init__(self, session: AgentSession, about: MeterStarted, at: str) -> None:
        self.about = about
        self.at = at
        self._session = session
        self._device: list[Exchange] = []
        self._own: list[Exchange] = []
        self._fault: EdgepackError | None = None

    def compare_clocks(self, device: AgentSession) -> None:
        """Compare the clocks of device and meter: before the job, and after it.

        Raises:
            NetworkError: The link to the device failed, or at the first time that to the meter's machine.
        """
        self._device.append(look(device))
        if self.at == AT_HOST:  # its clock is this machine's own
            return
        try:
            self._own.append(look(self._session))
        except EdgepackError as err:
            if not self._own:
                raise
            self._fault = err

    def values(self, spans: Sequence[Span]) -> list[tuple[MeterSpan, dict[str, Any]]]:
        """Return what the meter says of each span: a POWER value (PROTOCOL.md), on the meter's clock.

        Raises:
            MeasurementError: The clocks cannot be laid over each other.
            AgentError: The meter's agent does not answer as it should.
            NetworkError: The link to it failed.
        """
        if self._fault:
            raise self._fault
        device, own = OtherClock(tuple(self._device)), OtherClock(tuple(self._own))
        if stopped := device.stopped or own.stopped:
            raise MeasurementError(stopped, remedy="Keep both machines awake while they measure.")
        asked = [meter_span(span, device, own) for span in spans]
        values: list[dict[str, Any]] = []
        for start in range(0, len(asked), _SPANS_A_REQUEST):
            some = asked[start : start + _SPANS_A_REQUEST]
            pairs = [[span.from_ns, span.to_ns] for span in some]
            answers = self._session.request("meter.energy", MeterEnergy, spans=pairs).power
            if len(answers) != len(pairs):
                message = f"{self._session.device.name}: {len(answers)} answers to {len(pairs)} spans."
                raise AgentError(message, remedy="Check what runs there under the name of the agent.")
            values += answers
        return list(zip(asked, values, strict=True))


def look(session: AgentSession) -> Exchange:
    """Look at the clock of an agent's machine several times, and return the best."""
    exchanges = []
    for _ in range(_EXCHANGES):
        sent_ns = time.monotonic_ns()
        there_ns = session.request("clock", ClockRead).clock_ns
        exchanges.append(Exchange(sent_ns, time.monotonic_ns(), there_ns))
    return best(exchanges)


def _machine(meter: DevicePower, lab: Lab) -> Device:
    """Return the machine that a meter is cabled to."""
    return Device(name=AT_HOST, kind="local") if meter.at == AT_HOST else lab.device(meter.at)


def _place(meter: DevicePower) -> str:
    return "host" if meter.at == AT_HOST else f"gateway '{meter.at}'"
