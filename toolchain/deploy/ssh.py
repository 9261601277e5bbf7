"""A device over SSH: the only file that knows paramiko.

Rules:
    * A host key that is unknown, changed or revoked ends the connection before anything secret is sent.
    * A dead link is noticed within `link_timeout_s` and about a second: paramiko alone waits for minutes. The
      kernel gives the socket up when sent bytes stay unacknowledged (TCP_USER_TIMEOUT), and a keep-alive each
      second sees to it that there are some.
    * Nothing of paramiko leaves this file: its errors are turned into edgepack's.
"""

from __future__ import annotations

import contextlib
import logging
import shlex
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paramiko

from edgepack.toolchain.deploy import known_hosts
from edgepack.toolchain.deploy.connection import STDERR_KEPT_BYTES, Exit, silence
from edgepack.toolchain.deploy.endpoint import endpoint_of
from edgepack.toolchain.errors import DeployError, NetworkError, ProjectError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from edgepack.toolchain.deploy.endpoint import Endpoint
    from edgepack.toolchain.deploy.inventory import Device, Lab
    from edgepack.toolchain.deploy.known_hosts import HostKey, KnownKey

# paramiko logs whole tracebacks, and without a handler logging would print them.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

_KEEPALIVE_S = 1
_POLL_S = 0.5
_END_GRACE_S = 5.0
_WINDOW_BYTES = 16 << 20
_FAST_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr")
_TCP_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 0x80 if sys.platform == "darwin" else None)
_RSA_ALGORITHMS = ("rsa-sha2-512", "rsa-sha2-256")
_FAULTS = (paramiko.SSHException, OSError, EOFError)


def connect_ssh(device: Device, lab: Lab) -> SshConnection:
    """Log in to a device, through its jump hosts if it has some.

    Raises:
        NetworkError: The device does not answer, or the link failed.
        HostKeyError: The host key of the device or of a jump host is unknown, changed or revoked.
        DeployError: The device refused every key.
    """
    with contextlib.ExitStack() as stack:
        endpoint = endpoint_of(device, _ssh_config())
        transport = _open_chain(endpoint, device, lab, stack)
        return SshConnection(transport, str(endpoint), stack.pop_all())


def scan_host_key(device: Device, lab: Lab) -> tuple[str, HostKey]:
    """Return a device's name in known_hosts files, and the host key that it shows now; nobody is logged in.

    Raises:
        NetworkError: The device does not answer.
    """
    with contextlib.ExitStack() as stack:
        endpoint = endpoint_of(device, _ssh_config())
        via = None
        for hop in endpoint.jumps:
            via = _open_chain(hop, device, lab, stack, via=via, is_jump=True)
        transport = _handshake(endpoint, _reach(endpoint, device, via, stack), device, (), stack)
        return endpoint.known_as, _shown_key(transport)


def known_keys(device: Device, lab: Lab) -> list[KnownKey]:
    """Return the keys that the known_hosts files hold for a device."""
    endpoint = endpoint_of(device, _ssh_config())
    return known_hosts.find(endpoint.known_as, (lab.known_hosts, *endpoint.known_hosts))


class SshConnection:
    """A login on a device; see `Connection`."""

    def __init__(self, transport: paramiko.Transport, name: str, resources: contextlib.ExitStack) -> None:
        self._transport = transport
        self._name = name
        self._resources = resources

    def open_stream(self, argv: Sequence[str]) -> SshStream:
        """Start a program; see `Connection.open_stream`."""
        with _as_network_error(self._name):
            try:
                channel = self._transport.open_session(window_size=_WINDOW_BYTES, timeout=30)
            except paramiko.ChannelException as err:
                message = f"{self._name} refuses to start programs ({err.text})."
                raise DeployError(
                    message, remedy="Allow sessions for this user in the device's sshd_config."
                ) from err
            channel.exec_command(shlex.join(argv))
        return SshStream(channel, self._name)

    def close(self) -> None:
        """Close the connection; see `Connection.close`."""
        self._resources.close()


class SshStream:
    """A program behind an SSH channel; see `Stream`."""

    def __init__(self, channel: paramiko.Channel, name: str) -> None:
        self._channel = channel
        self._name = name
        self._kept = b""

    def send(self, data: bytes | memoryview, *, timeout_s: float) -> None:
        """See `Stream.send`."""
        rest = memoryview(data)
        self._channel.settimeout(timeout_s)
        while rest:
            try:
                sent = self._channel.send(rest)
            except TimeoutError as err:
                raise silence(timeout_s) from err
            except _FAULTS as err:
                self._raise_if_link_failed(err)
                raise BrokenPipeError from err
            if not sent:
                self._raise_if_link_failed(None)
                raise BrokenPipeError
            rest = rest[sent:]

    def receive(self, size: int, *, timeout_s: float) -> bytes:
        """See `Stream.receive`."""
        deadline = time.monotonic() + timeout_s
        while True:
            # Waiting in short turns: stderr shares the window with stdout, so it must be read meanwhile.
            self._keep_stderr()
            self._channel.settimeout(max(0.0, min(_POLL_S, deadline - time.monotonic())))
            try:
                data: bytes = self._channel.recv(size)
            except TimeoutError as err:
                if time.monotonic() >= deadline:
                    raise silence(timeout_s) from err
                continue
            if not data:
                self._raise_if_link_failed(None)
            return data

    def finish(self, *, timeout_s: float) -> Exit:
        """See `Stream.finish`."""
        with contextlib.suppress(*_FAULTS):
            self._channel.shutdown_write()
        deadline = time.monotonic() + timeout_s
        while not self._channel.status_event.wait(_POLL_S):
            self._keep_stderr()
            if time.monotonic() >= deadline:
                raise silence(timeout_s)
        self._raise_if_link_failed(None)
        self._keep_stderr()
        status = self._channel.exit_status
        return Exit(status if status >= 0 else None, self._kept.decode(errors="replace"))

    def close(self) -> None:
        """See `Stream.close`."""
        with contextlib.suppress(*_FAULTS):
            self._channel.close()

    def _keep_stderr(self) -> None:
        while self._channel.recv_stderr_ready():
            self._kept = (self._kept + self._channel.recv_stderr(STDERR_KEPT_BYTES))[-STDERR_KEPT_BYTES:]

    def _raise_if_link_failed(self, cause: BaseException | None) -> None:
        """Tell a failed link from a program that has ended: both end the channel."""
        transport = self._channel.get_transport()
        self._channel.status_event.wait(_POLL_S)
        if self._channel.exit_status < 0:
            transport.join(_POLL_S)  # paramiko closes the channels of a failed link before it marks the link
            if not transport.is_active():
                raise _link_error(self._name, transport.get_exception() or cause)


def _open_chain(
    endpoint: Endpoint,
    device: Device,
    lab: Lab,
    stack: contextlib.ExitStack,
    *,
    via: paramiko.Transport | None = None,
    is_jump: bool = False,
) -> paramiko.Transport:
    """Log in to an endpoint, hop by hop."""
    for hop in endpoint.jumps:
        via = _open_chain(hop, device, lab, stack, via=via, is_jump=True)
    sock = _reach(endpoint, device, via, stack)
    known = known_hosts.find(endpoint.known_as, (lab.known_hosts, *endpoint.known_hosts))
    transport = _handshake(endpoint, sock, device, tuple(entry.key.algorithm for entry in known), stack)
    login = f"ssh -p {endpoint.port} {endpoint.user}@{endpoint.host}"
    accept = f"log in once with `{login}`" if is_jump else f"run `edgepack devices trust {device.name}`"
    known_hosts.require_known(endpoint.known_as, _shown_key(transport), known, accept=accept)
    with _as_network_error(str(endpoint)):
        _log_in(transport, endpoint, device)
        transport.set_keepalive(_KEEPALIVE_S)
    return transport


def _reach(
    endpoint: Endpoint, device: Device, via: paramiko.Transport | None, stack: contextlib.ExitStack
) -> Any:  # noqa: ANN401 - socket, channel or proxy
    """Return a socket, a channel of the last jump host, or a proxy command that leads to the endpoint."""
    if endpoint.proxy_command:
        proxy = paramiko.ProxyCommand(endpoint.proxy_command)
        stack.callback(_end_proxy, proxy)
        return proxy
    if via is not None:
        place, origin = (endpoint.host, endpoint.port), ("127.0.0.1", 0)
        with _as_network_error(str(endpoint)):
            return via.open_channel("direct-tcpip", place, origin, timeout=device.connect_timeout_s)
    try:
        sock = socket.create_connection((endpoint.host, endpoint.port), timeout=device.connect_timeout_s)
    except OSError as err:
        message = f"{endpoint} does not answer ({err.strerror or err})."
        login = f"ssh -p {endpoint.port} {endpoint.host}"
        remedy = f"Check that '{device.name}' is on and that `{login}` reaches it."
        raise NetworkError(message, remedy=remedy) from err
    stack.callback(sock.close)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if _TCP_USER_TIMEOUT is not None:
        unit = 1 if sys.platform == "darwin" else 1000
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, int(device.link_timeout_s * unit))
    return sock


def _handshake(
    endpoint: Endpoint,
    sock: Any,  # noqa: ANN401 - socket, channel or proxy
    device: Device,
    algorithms: tuple[str, ...],
    stack: contextlib.ExitStack,
) -> paramiko.Transport:
    """Agree on keys with an endpoint; it has shown its host key afterwards, and nobody has checked it yet."""
    with _as_network_error(str(endpoint)):
        transport = paramiko.Transport(sock, default_window_size=_WINDOW_BYTES)
        stack.callback(_end_transport, transport)
        transport.banner_timeout = transport.auth_timeout = device.connect_timeout_s
        options = transport.get_security_options()
        fast = tuple(cipher for cipher in _FAST_CIPHERS if cipher in options.ciphers)
        options.ciphers = (*fast, *(cipher for cipher in options.ciphers if cipher not in fast))
        # Ask for a key of the kind that is known, as OpenSSH does: a device has several, all of them its own.
        wanted = {*algorithms, *(_RSA_ALGORITHMS if "ssh-rsa" in algorithms else ())}
        options.key_types = tuple(sorted(options.key_types, key=lambda name: name not in wanted))
        transport.start_client(timeout=device.connect_timeout_s)
        if not transport.initial_kex_done:  # paramiko returns silently when the time is up
            message = f"no SSH greeting within {device.connect_timeout_s:g} s"
            raise TimeoutError(message)
        return transport


def _end_transport(transport: paramiko.Transport) -> None:
    """Close a transport; its thread has let go of the socket afterwards."""
    transport.close()
    if transport.is_alive():
        transport.join(_END_GRACE_S)


def _end_proxy(proxy: paramiko.ProxyCommand) -> None:
    """End a proxy command; paramiko only sends it a signal."""
    with contextlib.suppress(ProcessLookupError, paramiko.ProxyCommandFailure):
        proxy.close()
    with proxy.process:  # closes the pipes and waits
        pass


def _shown_key(transport: paramiko.Transport) -> HostKey:
    key = transport.get_remote_server_key()
    return known_hosts.HostKey(key.get_name(), key.asbytes())


def _log_in(transport: paramiko.Transport, endpoint: Endpoint, device: Device) -> None:
    """Try the user's keys, one after the other."""
    tried = locked = 0
    for key in _keys(endpoint):
        if isinstance(key, Path):
            locked += 1
            continue
        tried += 1
        try:
            if not transport.auth_publickey(endpoint.user, key):
                return
        except paramiko.AuthenticationException:
            if not transport.is_active():
                break
    message = f"{endpoint} refused the login with each of {tried} keys."
    if locked:
        message += f" {locked} more are locked with a passphrase."
    copy = f"ssh-copy-id -p {endpoint.port} {endpoint.user}@{endpoint.host}"
    unlock = "unlock one with `ssh-add`, or " if locked else ""
    remedy = (
        f"Install your public key with `{copy}`, {unlock}name the right key as 'identity_file' in lab.toml."
    )
    raise DeployError(message, remedy=remedy)


def _keys(endpoint: Endpoint) -> Iterator[paramiko.PKey | Path]:
    """Yield the keys that the user named, then the SSH agent's, then the usual ones; a path if locked."""
    seen: set[bytes] = set()
    agent = paramiko.Agent()
    try:
        from_files = (_load_key(path) for path in endpoint.named_keys)
        usual = (_load_key(path) for path in endpoint.usual_keys)
        agent_keys = agent.get_keys() if endpoint.usual_keys else _named_of_agent(agent, endpoint)
        for source in (from_files, agent_keys, usual):
            for key in source:
                if key is None or (not isinstance(key, Path) and key.asbytes() in seen):
                    continue
                if not isinstance(key, Path):
                    seen.add(key.asbytes())
                yield key
    finally:
        agent.close()


def _named_of_agent(agent: paramiko.Agent, endpoint: Endpoint) -> list[paramiko.AgentKey]:
    """Return the agent's keys whose public halves lie beside the named files (`IdentitiesOnly yes`)."""
    named = set()
    for path in endpoint.named_keys:
        with contextlib.suppress(OSError, IndexError):
            named.add(path.with_name(path.name + ".pub").read_text().split()[1])
    return [key for key in agent.get_keys() if key.get_base64() in named]


def _load_key(path: Path) -> paramiko.PKey | Path | None:
    """Return a private key; its path where a passphrase locks it; None where there is none to read."""
    if not path.is_file():
        return None
    try:
        return paramiko.PKey.from_path(path)
    except (paramiko.PasswordRequiredException, TypeError):
        return path
    except (paramiko.SSHException, paramiko.pkey.UnknownKeyType, ValueError, OSError):
        return None


def _ssh_config() -> Callable[[str], Mapping[str, Any]]:
    """Return the look-up of `~/.ssh/config`."""
    path = Path.home() / ".ssh" / "config"
    try:
        config = paramiko.SSHConfig.from_path(str(path)) if path.is_file() else paramiko.SSHConfig()
    except (paramiko.SSHException, OSError, UnicodeDecodeError) as err:
        message = f"{path}: cannot be read ({err})."
        raise ProjectError(
            message, remedy=f"Correct {path}; `ssh -G HOST` shows what OpenSSH makes of it."
        ) from err
    return config.lookup  # type: ignore[no-any-return]


@contextlib.contextmanager
def _as_network_error(name: str) -> Iterator[None]:
    """Turn what paramiko raises when a link fails into edgepack's error."""
    try:
        yield
    except _FAULTS as err:
        raise _link_error(name, err) from err


def _link_error(name: str, cause: BaseException | None) -> NetworkError:
    reason = str(cause).strip().rstrip(".") if cause and str(cause).strip() else "the connection was closed"
    message = f"The link to {name} failed ({reason})."
    remedy = "Check the device and the network and run the command again; nothing is sent twice."
    return NetworkError(message, remedy=remedy)
