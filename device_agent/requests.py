"""Each request, one small function: check the fields, call the module that does the work, return the answer.

Rules:
    * A request raises `AgentError` and never answers twice.
    * The answer's `body`, an open file, follows the answer's line as raw bytes.
    * Modules are imported when first needed: the agent's sources are compiled at each start (a zipapp has no
      cache), which costs a slow device more than the request itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .context import line
from .errors import AgentError
from .protocol import JOB_ID, NAME, SHA256, FramingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .context import Context

    Answer = dict[str, Any]


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
        tag=None if tag is None else line(context.text("tag"), 256),
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


def _clock(_: Context) -> Answer:
    from time import monotonic_ns, time_ns

    return {"clock_ns": monotonic_ns(), "unix_ns": time_ns()}


def _meter_start(context: Context) -> Answer:
    return context.meter.start(context.text("sensor"), context.request.get("settings", {}))


def _meter_energy(context: Context) -> Answer:
    return {"power": context.meter.energy(context.request.get("spans"))}


def _meter_stop(context: Context) -> Answer:
    context.meter.stop()
    return {}


def _bye(_: Context) -> Answer:
    return {}


REQUESTS: dict[str, Callable[[Context], Answer]] = {
    "blobs.missing": _blobs_missing,
    "blobs.put": _blobs_put,
    "bench.start": _bench_start,
    "bye": _bye,
    "clock": _clock,
    "install": _install,
    "installed": _installed,
    "jobs.ack": _jobs_ack,
    "jobs.cancel": _jobs_cancel,
    "jobs.fetch": _jobs_fetch,
    "jobs.list": _jobs_list,
    "jobs.wait": _jobs_wait,
    "health": _health,
    "lease.get": _lease_get,
    "meter.energy": _meter_energy,
    "meter.start": _meter_start,
    "meter.stop": _meter_stop,
    "package.fetch": _package_fetch,
    "probe": _probe,
    "remove": _remove,
    "rollback": _rollback,
    "runtime.install": _runtime_install,
    "runtime.list": _runtime_list,
    "trust.get": _trust_get,
    "trust.set": _trust_set,
}
