"""What a request is answered with: its fields, checked, and what the agent keeps between requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .meter_post import MeterPost
from .protocol import SHA256, bad_request

if TYPE_CHECKING:
    import re

    from .layout import WorkDir
    from .lease import Claim
    from .protocol import Channel

_MAX_BLOBS = 8192  # their answer has to fit a line too
_MAX_BLOB_BYTES = 2 << 30
_MAX_TEXT = 1 << 18
_MAX_LABELS = 64


@dataclass(frozen=True)
class Context:
    """What a request is answered with.

    Attributes:
        work: The work directory.
        channel: The conversation with the host.
        agent: The agent's own hash.
        request: The request's fields.
        meter: The meter that this agent records; it outlives the request.
        last_progress: The last progress message of this request; empty before the first.
    """

    work: WorkDir
    channel: Channel
    agent: str
    request: dict[str, Any]
    meter: MeterPost = field(default_factory=MeterPost)
    last_progress: dict[str, Any] = field(default_factory=dict)

    def text(self, key: str, pattern: re.Pattern[str] | None = None, default: str | None = None) -> str:
        """Return a string of the request, checked against a pattern."""
        value = self.request.get(key, default)
        if not isinstance(value, str) or len(value) > _MAX_TEXT or (pattern and not pattern.fullmatch(value)):
            message = f"{self.request['type']}: '{key}' is {value!r:.80}, which is not allowed."
            raise bad_request(message)
        return value

    def owner(self) -> str:
        """Return who asks, in one short printable line: it is shown to others."""
        return line(self.text("owner", default="somebody"), 128) or "somebody"

    def claim(self) -> Claim:
        """Return who asks for the lease, and for what reason it is stolen, if it is."""
        from .lease import Claim

        if self.request.get("steal") is None:
            return Claim(self.owner())
        reason = line(self.text("steal"), 256)
        if not reason:
            message = f"{self.request['type']}: 'steal' gives no reason."
            raise bad_request(message)
        return Claim(self.owner(), reason)

    def labels(self) -> dict[str, str]:
        """Return the pairs that the user gave to a run."""
        value = self.request.get("labels", {})
        good = isinstance(value, dict) and len(value) <= _MAX_LABELS
        if not good or not all(isinstance(text, str) and len(text) <= 256 for text in sum(value.items(), ())):
            message = f"{self.request['type']}: 'labels' is {value!r:.80}, which is not allowed."
            raise bad_request(message)
        return {line(key, 256): line(text, 256) for key, text in value.items()}

    def blobs(self, *keys: str) -> list[dict[str, Any]]:
        """Return the request's list of blobs, each with its hash and the integers of the given names."""
        value = self.request.get("blobs")
        if not isinstance(value, list) or len(value) > _MAX_BLOBS:
            message = f"{self.request['type']}: 'blobs' is not a list of at most {_MAX_BLOBS} entries."
            raise bad_request(message)
        for blob in value:
            good = isinstance(blob, dict) and isinstance(blob.get("sha256"), str)
            good = good and SHA256.fullmatch(blob["sha256"]) is not None
            good = good and all(
                type(blob.get(key)) is int and 0 <= blob[key] <= _MAX_BLOB_BYTES for key in keys
            )
            if not good or blob.get("offset_bytes", 0) > blob["size_bytes"]:
                message = f"{self.request['type']}: a blob is {blob!r:.120}."
                raise bad_request(message)
        return value

    def progress(self, stage: str, done: int, total: int) -> None:
        """Tell the host how far the request is."""
        message = {"id": self.request["id"], "type": "progress", "stage": stage, "done": done, "total": total}
        self.last_progress.update(message)
        self.channel.send(message)


def line(text: str, length: int) -> str:
    """Return the printable characters of a text, so many at most."""
    return "".join(char for char in text if char.isprintable())[:length]
