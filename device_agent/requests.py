"""Each request, one small function: check the fields, call the module that does the work, return the answer.

Rules:
    * A request raises `AgentError` and never answers twice.
    * The answer's `body`, an open file, follows the answer's line as raw bytes.
    * Modules are imported when first needed: the agent's sources are compiled at each start (a zipapp has no
      cache), which costs a slow device more than the request itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import AgentError
from .protocol import JOB_ID, NAME, SHA256, FramingError, bad_request

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from .layout import WorkDir
    from .lease import Claim
    from .protocol import Channel

    Answer = dict[str, Any]

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
        last_progress: The last progress message of this request; empty before the first.
    """

    work: WorkDir
    channel: Channel
    agent: str
    request: dict[str, Any]
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
        return _line(self.text("owner", default="somebody"), 128) or "somebody"

    def claim(self) -> Claim:
        """Return who asks for the lease, and for what reason it is stolen, if it is."""
        from .lease import Claim

        if self.request.get("steal") is None:
            return Claim(self.owner())
        reason = _line(self.text("steal"), 256)
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
        return {_line(key, 256): _line(text, 256) for key, text in value.items()}

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


def _line(text: str, length: int) -> str:
    """Return the printable characters of a text, so many at most."""
    return "".join(char for char in text if char.isprintable())[:length]


def _probe(context: Context) -> Answer:
    from .system import probe

    return {"facts": probe(context.work)}


def _blobs_missing(context: Context) -> Answer:
    from .store import free_bytes, missing

    blobs = context.blobs("size_bytes")
    return {"missing": missing(context.work, blobs), "free_bytes": free_bytes(context.work.root)}


def _blobs_put(context: Context) -> Answer:
    from .store import put

    try:
        blobs = context.blobs("size_bytes", "offset_bytes")
    except AgentError as err:
        raise FramingError(err.message) from err  # how many raw bytes follow is not known
    return {"stored": put(context.work, blobs, context.channel.span)}


def _trust_set(context: Context) -> Answer:
    from .trust import set_allowed_signers

    return {"signers": set_allowed_signers(context.work, context.text("allowed_signers"))}


def _trust_get(context: Context) -> Answer:
    from .trust import get_allowed_signers

    return {"allowed_signers": get_allowed_signers(context.work)}


def _runtime_list(context: Context) -> Answer:
    from .runtimes import list_runtimes

    return {"runtimes": [runtime.describe() for runtime in list_runtimes(context.work)]}


def _runtime_install(context: Context) -> Answer:
    from .runtimes import install_runtime, wheels_of

    runtime = install_runtime(
        context.work,
        runtime_id=context.text("runtime_id", SHA256),
        kind=context.text("kind"),
        wheels=wheels_of(context.request.get("wheels")),
        claim=context.claim(),
        progress=context.progress,
    )
    return runtime.describe()


def _install(context: Context) -> Answer:
    from .install import install

    return install(
        context.work,
        manifest=context.text("manifest", SHA256),
        signature=context.text("signature", SHA256),
        runtime=context.text("runtime"),
        claim=context.claim(),
        progress=context.progress,
    )


def _installed(context: Context) -> Answer:
    from .apps import installed

    return {"packages": installed(context.work)}


def _rollback(context: Context) -> Answer:
    from .install import rollback

    return rollback(context.work, name=context.text("name", NAME), claim=context.claim())


def _remove(context: Context) -> Answer:
    from .install import remove

    return remove(context.work, name=context.text("name", NAME), claim=context.claim())


def _bench_start(context: Context) -> Answer:
    from .benchmark import check_spec
    from .jobs import start

    tag = context.request.get("tag")
    job_id = start(
        context.work,
        name=context.text("name", NAME),
        spec=check_spec(context.request.get("spec")),
        claim=context.claim(),
        agent=context.agent,
        tag=None if tag is None else _line(context.text("tag"), 256),
        labels=context.labels(),
    )
    return {"job_id": job_id}


def _jobs_wait(context: Context) -> Answer:
    from .jobs import wait

    return wait(context.work, context.text("job_id", JOB_ID), context.progress, context.channel.has_input)


def _jobs_list(context: Context) -> Answer:
    from .jobs import list_jobs

    return {"jobs": list_jobs(context.work)}


def _jobs_fetch(context: Context) -> Answer:
    from .jobs import fetch

    return fetch(context.work, context.text("job_id", JOB_ID))


def _jobs_ack(context: Context) -> Answer:
    from .jobs import ack

    return ack(context.work, context.text("job_id", JOB_ID))


def _jobs_cancel(context: Context) -> Answer:
    from .jobs import cancel

    return cancel(context.work, context.text("job_id", JOB_ID), context.owner())


def _lease_get(context: Context) -> Answer:
    from .lease import describe

    return {"lease": describe(context.work)}


def _health(context: Context) -> Answer:
    from time import time_ns

    from .lease import describe
    from .state import StateReader
    from .store import free_bytes
    from .sysfs import MACHINE

    state = StateReader(MACHINE).read()
    seen = {key: state[key] for key in ("throttling", "temperatures_c", "load_1min")}
    free = free_bytes(context.work.root)
    return {"lease": describe(context.work), "free_bytes": free, "unix_ns": time_ns(), **seen}


def _package_fetch(context: Context) -> Answer:
    from .package_file import fetch

    return fetch(context.work, context.text("package_id", SHA256), context.text("path"))


def _bye(_: Context) -> Answer:
    return {}


REQUESTS: dict[str, Callable[[Context], Answer]] = {
    "blobs.missing": _blobs_missing,
    "blobs.put": _blobs_put,
    "bench.start": _bench_start,
    "bye": _bye,
    "install": _install,
    "installed": _installed,
    "jobs.ack": _jobs_ack,
    "jobs.cancel": _jobs_cancel,
    "jobs.fetch": _jobs_fetch,
    "jobs.list": _jobs_list,
    "jobs.wait": _jobs_wait,
    "health": _health,
    "lease.get": _lease_get,
    "package.fetch": _package_fetch,
    "probe": _probe,
    "remove": _remove,
    "rollback": _rollback,
    "runtime.install": _runtime_install,
    "runtime.list": _runtime_list,
    "trust.get": _trust_get,
    "trust.set": _trust_set,
}
