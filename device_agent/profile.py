"""The model's operators timed one by one, by the method that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import AgentError

if TYPE_CHECKING:
    from pathlib import Path


def profile(
    kind: str, folder: Path, manifest: dict[str, Any], method: str, threads: int, delegate: str
) -> dict[str, Any]:
    """Return a profile of the job's record.

    Args:
        kind: "litert" or "tflite-runtime".
        folder: The package's folder.
        manifest: The package's manifest, checked.
        method: "runtime": the runtime times its operators; "truncated": cut the model off after each.
        threads: Number of threads.
        delegate: "xnnpack" or "none".

    Raises:
        AgentError: `unsupported`: this cannot be done with the runtime or the model; the message says why.
    """
    from . import profile_litert, profile_truncated

    if method == "truncated":
        return profile_truncated.profile(kind, folder, manifest, threads, delegate)
    try:
        return profile_litert.profile(kind, folder, manifest, threads, delegate)
    except profile_litert.UnsupportedProfileError as err:
        message = f"{err}."
        raise AgentError("unsupported", message, "The profile is derived instead.") from err
