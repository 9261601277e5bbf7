"""Conversations between host and agent, kept as files that both sides are tested with.

`v1/<name>.jsonl` holds one JSON object a line:
    {"from": "host", "line": {…}}        a line as it is sent
    {"from": "host", "raw": "<base64>"}  the raw bytes that follow it
    {"from": "agent", …}                 likewise, without progress: how often it comes depends on the time
What depends on the device stands there as an example (`EXAMPLES`); what depends on the run is compared by
type.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "v1"
NAMES = ("greeting", "blobs", "trust", "install", "refusals", "bench")

# Fields that a recording must not hold as they were: they tell about the machine that recorded it.
EXAMPLES: dict[str, Any] = {
    "agent": "0123456789abcdef",
    "boot_id": "0b0d7a0e-0000-4000-8000-000000000000",
    "executable": "/usr/bin/python3",
    "features": ["asimd", "crc32"],
    "firmware": "1.2.3",
    "free_bytes": 20_000_000_000,
    "hostname": "pi4",
    "kernel": "6.1.0",
    "microcode": "0x1",
    "pid": 1234,
    "ssh_keygen": "/usr/bin/ssh-keygen",
    "work_dir": "/home/pi/.edgepack",
}
# Fields whose values differ from run to run and from device to device.
_DEVICE = {"clock", "clocks_hz", "cpu", "disk", "facts", "facts_after", "facts_before", "governor", "libc"}
_DEVICE |= {
    "idle",
    "libstdcxx",
    "machine",
    "memory",
    "model",
    "numpy",
    "power",
    "power_sensor",
    "power_sensors",
    "python",
    "runtime",
    "temperatures_c",
    "version",
}
_RUN = {
    "base64",
    "job_id",
    "max_error",
    "message",
    "preemptions",
    "record_bytes",
    "remedy",
    "runs",
    "sample_stride",
    "settled",
    "states",
}
_RUN |= {"stopped_by", "warmup_runs"}
_VOLATILE = {*EXAMPLES, *_DEVICE, *_RUN}


def anonymous(value: Any) -> Any:
    """Return a value with the examples in the place of what tells about this machine."""
    if isinstance(value, dict):
        return {key: EXAMPLES.get(key, anonymous(item)) for key, item in value.items()}
    return [anonymous(item) for item in value] if isinstance(value, list) else value


def load(name: str) -> list[dict[str, Any]]:
    """Return a transcript's steps, with raw bytes decoded."""
    steps = [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text("utf-8").splitlines()]
    return [{**step, "raw": base64.b64decode(step["raw"])} if "raw" in step else step for step in steps]


def save(name: str, steps: list[dict[str, Any]]) -> None:
    """Write a transcript."""
    FOLDER.mkdir(exist_ok=True)
    texts = (base64.b64encode(step["raw"]).decode("ascii") if "raw" in step else None for step in steps)
    lines = [
        json.dumps({**step, "raw": raw} if raw else step) for step, raw in zip(steps, texts, strict=True)
    ]
    (FOLDER / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


def difference(recorded: Any, actual: Any, where: str = "", *, by_type: bool = False) -> str | None:
    """Return where an answer is not what the transcript says; None where it is."""
    if isinstance(recorded, dict) and isinstance(actual, dict):
        if set(recorded) != set(actual):
            return f"{where}: the keys differ: {sorted(set(recorded) ^ set(actual))}"
        for key, one in recorded.items():
            loose = by_type or key in _VOLATILE or key.endswith(("_ns", "rss_bytes"))
            if found := difference(one, actual[key], f"{where}.{key}", by_type=loose):
                return found
        return None
    if by_type:
        fine = recorded is None or actual is None or type(recorded) is type(actual)
        return None if fine else f"{where}: {recorded!r} became {actual!r}"
    if isinstance(recorded, list) and isinstance(actual, list) and len(recorded) == len(actual):
        for index, (one, other) in enumerate(zip(recorded, actual, strict=True)):
            if found := difference(one, other, f"{where}[{index}]"):
                return found
        return None
    return None if recorded == actual else f"{where}: {recorded!r} became {actual!r}"
