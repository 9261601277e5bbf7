"""A TCP relay between edgepack and sshd that cuts the link, or passes nothing more, after some bytes."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Relay:
    """Passes bytes on to a server, up to a number of bytes towards it.

    Attributes:
        port: Where it listens on 127.0.0.1.
        sent: Bytes passed on to the server.
    """

    def __init__(self, address: str, port: int) -> None:
        self._to = (address, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.sent = 0
        self._limit: int | None = None
        self._cuts = True
        self._reached = threading.Event()
        self._open: list[socket.socket] = []

    @classmethod
    @contextlib.contextmanager
    def to(cls, address: str, port: int) -> Iterator[Relay]:
        """Run a relay to a server."""
        relay = cls(address, port)
        threading.Thread(target=relay._accept, daemon=True).start()
        try:
            yield relay
        finally:
            relay._listener.close()
            relay._close()

    def cut_after(self, size_bytes: int) -> None:
        """Close the next link once so many more bytes went to the server; later links are whole."""
        self._limit, self._cuts = self.sent + size_bytes, True
        self._reached.clear()

    def hold_after(self, size_bytes: int) -> None:
        """Pass nothing on once so many more bytes went to the server."""
        self._limit, self._cuts = self.sent + size_bytes, False
        self._reached.clear()

    def release(self) -> None:
        """Pass everything on again, on new links."""
        self._limit = None
        self._close()

    @property
    def reached(self) -> bool:
        """Whether the limit was reached."""
        return self._reached.is_set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._to)
                self._open += [client, server]
                for source, sink, up in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pass, args=(source, sink, up), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 14):
                if up and self._limit is not None and self.sent + len(data) > self._limit:
                    self._reached.set()
                    if not self._cuts:
                        return
                    self._limit = None
                    break
                sink.sendall(data)
                self.sent += len(data) if up else 0
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _close(self) -> None:
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._open.clear()
