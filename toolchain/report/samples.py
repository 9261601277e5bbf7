"""Where a record keeps the raw samples and the verdict of a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.toolchain.results.job_record import ConfigurationSamples

if TYPE_CHECKING:
    from edgepack.toolchain.results.job_record import Configuration
    from edgepack.toolchain.results.schema import ConfigurationVerdict, RunRecord


def same_configuration(one: Configuration, other: Configuration) -> bool:
    """Return whether two configurations are the same one, whatever else they carry."""
    return (one.batch, one.threads, one.delegate) == (other.batch, other.threads, other.delegate)


def samples_of(record: RunRecord, place: Configuration) -> ConfigurationSamples | None:
    """Return the samples of a configuration; None where it did not run."""
    for found in record.configurations:
        if isinstance(found, ConfigurationSamples) and same_configuration(found, place):
            return found
    return None


def verdict_of(record: RunRecord, place: Configuration) -> ConfigurationVerdict | None:
    """Return what was judged of a configuration; None where nobody judged."""
    return next((v for v in record.verdicts if same_configuration(v.configuration, place)), None)
