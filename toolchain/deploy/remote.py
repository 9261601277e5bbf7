"""The short requests to an agent, one function each: facts, installed packages, whom the device trusts."""

from __future__ import annotations

import getpass
import socket
from typing import TYPE_CHECKING

from edgepack.toolchain.deploy.messages import (
    Installed,
    InstalledPackage,
    InstalledRuntime,
    Nothing,
    Probe,
    Removed,
    RolledBack,
    Runtimes,
    Signers,
)

if TYPE_CHECKING:
    from edgepack.toolchain.deploy.agent_session import AgentSession
    from edgepack.toolchain.deploy.facts import Facts


def owner() -> str:
    """Return who to ask while a device is leased: `user@host` of this machine."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def probe(session: AgentSession) -> Facts:
    """Return what the device is and has."""
    return session.request("probe", Probe).facts


def installed(session: AgentSession) -> list[InstalledPackage]:
    """Return the packages on the device."""
    return session.request("installed", Installed).packages


def runtimes(session: AgentSession) -> list[InstalledRuntime]:
    """Return the runtimes that were provisioned on the device."""
    return session.request("runtime.list", Runtimes).runtimes


def rollback(session: AgentSession, name: str) -> RolledBack:
    """Make the last good version of a package current again.

    Raises:
        AgentError: "not_installed", "no_previous" or "busy".
    """
    return session.request("rollback", RolledBack, name=name, owner=owner())


def remove(session: AgentSession, name: str) -> Removed:
    """Remove a package from the device.

    Raises:
        AgentError: "not_installed" or "busy".
    """
    return session.request("remove", Removed, name=name, owner=owner())


def allowed_signers(session: AgentSession) -> str:
    """Return the keys whose packages the device accepts, in OpenSSH's ALLOWED SIGNERS format."""
    return session.request("trust.get", Signers).allowed_signers


def set_allowed_signers(session: AgentSession, signers: str) -> None:
    """Set the keys whose packages the device accepts."""
    session.request("trust.set", Nothing, allowed_signers=signers)
