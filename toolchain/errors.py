"""Errors of the host side, by whose move it is."""

from __future__ import annotations

from edgepack.targets.errors import EdgepackError


class ProjectError(EdgepackError):
    """`edgepack.toml`, `lab.toml` or another configuration file is wrong: names the file and the key."""

    exit_code = 3


class PackageError(EdgepackError):
    """A package is malformed or does not hold what its manifest says."""

    exit_code = 7


class SignatureError(PackageError):
    """A package is unsigned, signed by a key that is not trusted, or its signature does not verify."""


class DeployError(EdgepackError):
    """A device cannot be reached, or refused the connection."""

    exit_code = 8


class NetworkError(DeployError):
    """The link to a device failed. The only error that a retry can cure."""


class JobGoesOnError(DeployError):
    """The link to a device failed while it worked on a job, which goes on there."""


class HostKeyError(DeployError):
    """The host key of a device is unknown or has changed."""


class UnfitError(DeployError):
    """A device cannot be given work now (disk, supply, temperature); it was skipped."""


class AgentError(EdgepackError):
    """The agent on the device answered with a failure, or not as the protocol says.

    Args:
        code: The protocol's error code, such as "disk_full" (see `device_agent/PROTOCOL.md`).
    """

    exit_code = 9

    def __init__(self, message: str, *, remedy: str, code: str = "protocol") -> None:
        super().__init__(message, remedy=remedy)
        self.code = code


class MeasurementError(EdgepackError):
    """A measurement could not be taken or does not satisfy what was required of it."""

    exit_code = 10


class LabError(EdgepackError):
    """An emulated device cannot be built, started or reached on this machine."""

    exit_code = 12


class GateError(EdgepackError):
    """A comparison failed: a metric is beyond the limit of its gate, or the gate could not be judged."""

    exit_code = 13


class UnstableError(EdgepackError):
    """Figures are not stable, and `--require-stable` asked for stable ones; the records are kept."""

    exit_code = 14
