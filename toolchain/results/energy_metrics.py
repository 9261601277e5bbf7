"""Energy and power of a configuration, from the same median window as its latency.

Names: `energy_per_inference` is gross; `energy_over_idle_per_inference` is what is left of it above an
idle device. They are two figures and never mixed. How they and their intervals are computed:
`measure/energy.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.toolchain.measure.energy import (
    LEAST_COVERAGE,
    Figure,
    Reading,
    Unknown,
    average_power,
    energy_delay_product,
    energy_over_idle,
    energy_per_inference,
    idle_power,
)
from edgepack.toolchain.results.figures import missing
from edgepack.toolchain.results.schema import Metric
from edgepack.toolchain.results.window_record import PowerReading, Unavailable

if TYPE_CHECKING:
    from edgepack.toolchain.results.figures import AnyMetric
    from edgepack.toolchain.results.job_record import Configuration, PowerSensorInfo
    from edgepack.toolchain.results.reported import Reported
    from edgepack.toolchain.results.window_record import Power

GROSS = "energy_per_inference"
UNITS = {
    GROSS: "J",
    "energy_over_idle_per_inference": "J",
    "average_power": "W",
    "peak_power": "W",
    "idle_power": "W",
    "energy_delay_product": "J*s",
    "inferences_per_joule": "inferences/J",
}
_ADVICE = (
    "; cable a meter (an INA226 board, a plug that measures, a Nordic PPK2 or a Joulescope) and name it in"
    " [devices.NAME.power] of lab.toml"
)


def no_energy(sensor: PowerSensorInfo | Unavailable | None) -> list[AnyMetric]:
    """Return the one figure that says why a whole run has no energy; none where a sensor was read."""
    if not isinstance(sensor, Unavailable):
        return []
    reason = sensor.unavailable.rstrip(". ")
    asked_not_to = "asked" in reason
    return [missing(GROSS, "J", reason if "lab.toml" in reason or asked_not_to else reason + _ADVICE)]


def energy_metrics(reported: Reported) -> list[AnyMetric]:
    """Return the energy figures of a configuration for which a sensor was read."""
    place, batch = reported.place, reported.found.batch
    measured = _reading(reported.window.power, reported.window.runs * batch)
    if isinstance(measured, Unknown) or not isinstance(reported.window.power, PowerReading):
        reason = measured.reason if isinstance(measured, Unknown) else "not measured"
        return [missing(name, unit, reason, configuration=place) for name, unit in UNITS.items()]
    readings = [_reading(window.power, window.runs * batch) for window in reported.windows]
    known = [reading for reading in readings if isinstance(reading, Reading)]
    gross = energy_per_inference(measured, known)
    figures: dict[str, Figure | Unknown] = {
        GROSS: gross,
        "energy_over_idle_per_inference": _over_idle(reported, measured, known),
        "average_power": average_power(measured, known),
        "idle_power": _idle(reported),
        "energy_delay_product": _delay_product(reported, gross),
        "inferences_per_joule": _per_joule(gross),
    }
    peak = Metric(
        name="peak_power",
        value=reported.window.power.peak_w,
        unit="W",
        aggregation="max",
        samples=reported.window.power.samples or None,
        configuration=place,
    )
    return [*(_metric(name, figures[name], place) for name in UNITS if name in figures), peak]


def _reading(power: Power, inferences: int) -> Reading | Unknown:
    if isinstance(power, Unavailable):
        return Unknown(power.unavailable)
    if power.coverage < LEAST_COVERAGE:
        return Unknown(f"the power sensor saw only {100 * power.coverage:.0f} % of the window")
    if power.duration_ns == 0:
        return Unknown("the power sensor measured over 0 ns")
    return Reading(power.joules, power.uncertainty_j, power.duration_ns / 1e9, inferences)


def _idle_readings(reported: Reported) -> tuple[Reading, Reading] | Unknown:
    idle = reported.found.idle
    if idle is None:
        return Unknown("power of the idle device was not measured")
    before, after = _reading(idle.before, 0), _reading(idle.after, 0)
    for when, reading in (("before", before), ("after", after)):
        if isinstance(reading, Unknown):
            return Unknown(f"idle power {when} the windows: {reading.reason}")
    assert isinstance(before, Reading)
    assert isinstance(after, Reading)
    return before, after


def _over_idle(reported: Reported, measured: Reading, known: list[Reading]) -> Figure | Unknown:
    idle = _idle_readings(reported)
    return idle if isinstance(idle, Unknown) else energy_over_idle(measured, known, *idle)


def _idle(reported: Reported) -> Figure | Unknown:
    idle = _idle_readings(reported)
    return idle if isinstance(idle, Unknown) else idle_power(*idle)


def _delay_product(reported: Reported, gross: Figure) -> Figure:
    interval = reported.intervals.get(50)
    half = (interval.high - interval.low) / 2 if interval else 0.0
    return energy_delay_product(gross, reported.summary.p50_ns, half)


def _per_joule(gross: Figure) -> Figure | Unknown:
    """Return 1 / E with an interval of the same relative width."""
    if gross.low <= 0:
        found = f"{gross.value:.3g} J ± {gross.uncertainty:.3g} J an inference"
        return Unknown(f"below the noise: {found} cannot be told from nothing")
    return Figure(1 / gross.value, gross.uncertainty / gross.value**2)


def _metric(name: str, figure: Figure | Unknown, place: Configuration) -> AnyMetric:
    unit = UNITS[name]
    if isinstance(figure, Unknown):
        return missing(name, unit, figure.reason, configuration=place)
    return Metric(
        name=name,
        value=figure.value,
        unit=unit,
        aggregation="mean" if unit == "W" else "single",
        low=figure.low,
        high=figure.high,
        configuration=place,
    )
