"""Where an SSH connection goes: the device's own settings over what `~/.ssh/config` says of its host.

Pure: it takes the options that `ssh.py` looked up and returns values.
"""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.toolchain.deploy.known_hosts import SYSTEM_KNOWN_HOSTS, host_name
from edgepack.toolchain.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edgepack.toolchain.deploy.inventory import Device

_USUAL_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk")
_MAX_JUMPS = 8


@dataclass(frozen=True)
class Endpoint:
    """One hop of an SSH connection.

    Attributes:
        host: Name or address to dial.
        port: Port to dial.
        user: User to log in as.
        known_as: The host's name in known_hosts files.
        named_keys: Private keys that the user named for this host, tried first.
        usual_keys: Private keys tried after those of the SSH agent.
        known_hosts: The user's files of host keys.
        proxy_command: Command whose stdin and stdout lead to the host; None for a socket.
        jumps: Hosts to go through, first hop first.
    """

    host: str
    port: int
    user: str
    known_as: str
    named_keys: tuple[Path, ...]
    usual_keys: tuple[Path, ...]
    known_hosts: tuple[Path, ...]
    proxy_command: str | None
    jumps: tuple[Endpoint, ...] = ()

    def __str__(self) -> str:
        """Return the endpoint as people write it."""
        return f"{self.user}@{self.host}:{self.port}"


def endpoint_of(device: Device, lookup: Callable[[str], Mapping[str, Any]]) -> Endpoint:
    """Return where the connection to a device goes.

    Args:
        device: An ssh device.
        lookup: Returns the options of `~/.ssh/config` for a host, in lower case.

    Raises:
        ProjectError: `~/.ssh/config` cannot be followed.
    """
    assert device.host is not None
    named = (Path(device.identity_file),) if device.identity_file else None
    return _resolve(device.host, device.user, device.port, named, lookup, depth=0)


def _resolve(
    host: str,
    user: str | None,
    port: int | None,
    named_keys: tuple[Path, ...] | None,
    lookup: Callable[[str], Mapping[str, Any]],
    *,
    depth: int,
) -> Endpoint:
    if depth > _MAX_JUMPS:
        message = f"~/.ssh/config: ProxyJump of '{host}' goes round in a circle."
        raise ProjectError(message, remedy="Correct ProxyJump in ~/.ssh/config.")
    options = lookup(host)
    dialed = str(options.get("hostname", host))
    dialed_port = port or _port(options.get("port", 22), host)
    home = Path.home() / ".ssh"
    usual = () if options.get("identitiesonly") == "yes" else tuple(home / name for name in _USUAL_KEYS)
    jump = str(options.get("proxyjump", "none"))
    hops = [] if jump.lower() == "none" else [part.strip() for part in jump.split(",")]
    command = options.get("proxycommand")
    return Endpoint(
        host=dialed,
        port=dialed_port,
        user=user or options.get("user") or getpass.getuser(),
        known_as=options.get("hostkeyalias") or host_name(dialed, dialed_port),
        named_keys=named_keys or tuple(Path(name).expanduser() for name in options.get("identityfile", ())),
        usual_keys=usual,
        known_hosts=_known_hosts(options),
        proxy_command=command if command and command.lower() != "none" and not hops else None,
        jumps=tuple(_jump(hop, lookup, depth) for hop in hops),
    )


def _jump(hop: str, lookup: Callable[[str], Mapping[str, Any]], depth: int) -> Endpoint:
    """Return the hop that one `[user@]host[:port]` of ProxyJump names."""
    hop = hop.removeprefix("ssh://")
    user, _, place = hop.rpartition("@")
    host, _, port = place.rpartition(":") if place.count(":") == 1 or "]:" in place else (place, "", "")
    return _resolve(
        host.strip("[]"), user or None, _port(port, host) if port else None, None, lookup, depth=depth + 1
    )


def _port(value: Any, host: str) -> int:  # noqa: ANN401 - whatever the file holds
    try:
        port = int(value)
    except ValueError:
        port = 0
    if not 1 <= port <= 65_535:
        message = f"~/.ssh/config: the port of '{host}' is {value!r}; it must be 1 to 65535."
        raise ProjectError(message, remedy=f"Correct the port of '{host}' in ~/.ssh/config.")
    return port


def _known_hosts(options: Mapping[str, Any]) -> tuple[Path, ...]:
    named = options.get("userknownhostsfile")
    files = str(named).split() if named else ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]
    return (*(Path(name).expanduser() for name in files if name.lower() != "none"), SYSTEM_KNOWN_HOSTS)
