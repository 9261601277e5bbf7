"""Make a figure of a record: measured, or unavailable with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.toolchain.results.schema import Metric, UnavailableMetric

if TYPE_CHECKING:
    from edgepack.toolchain.results.job_record import Configuration

AnyMetric = Metric | UnavailableMetric


def single(
    name: str,
    value: float,
    unit: str,
    *,
    aggregation: str = "single",
    configuration: Configuration | None = None,
) -> Metric:
    """Return a figure that was read once."""
    return Metric(name=name, value=value, unit=unit, aggregation=aggregation, configuration=configuration)


def missing(
    name: str,
    unit: str,
    reason: str,
    *,
    aggregation: str | None = None,
    configuration: Configuration | None = None,
) -> UnavailableMetric:
    """Return a figure that was not measured, with the reason."""
    return UnavailableMetric(
        name=name, unit=unit, reason=reason, aggregation=aggregation, configuration=configuration
    )
