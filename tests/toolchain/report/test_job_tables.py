from __future__ import annotations

import io
import json
from typing import Any

from rich.console import Console, RenderableType

from edgepack.toolchain.errors import AgentError
from edgepack.toolchain.measure.job import Left
from edgepack.toolchain.measure.messages import JobSummary
from edgepack.toolchain.report.job_tables import job_document, jobs_table, left_document, left_table

ERROR = {"code": "stolen", "message": "bob@pc took this device over: noon.", "remedy": "Ask bob."}


def job(state: str, **changes: Any) -> JobSummary:
    value = {
        "job_id": "20261122T081500-1a2b3c4d", "state": state, "name": "fashion", "owner": "ann@laptop",
        "package_id": "0" * 64, "created_unix_ns": 1_795_334_400_000_000_000,
    }  # fmt: skip
    return JobSummary.model_validate({**value, **changes})


def shown(part: RenderableType) -> str:
    file = io.StringIO()
    Console(file=file, width=240, force_terminal=False).print(part)
    return file.getvalue()


def test_a_row_a_job() -> None:
    running = job("running", stage="batch 1: window 2 of 5", done=1, total=4)
    lines = shown(
        jobs_table(
            [
                ("pi4", running),
                ("pi5", job("finished", record_bytes=2048)),
                ("pi6", job("failed", error=ERROR)),
            ]
        )
    ).splitlines()
    assert "batch 1: window 2 of 5 (1/4)" in lines[1]
    assert "ann@laptop" in lines[1]
    assert "2026-11-22" in lines[1]
    assert "2 KiB" in lines[2]
    assert "bob@pc took this device over: noon." in lines[3]


def test_what_is_unknown_is_a_dash() -> None:
    for changes in ({"created_unix_ns": None}, {"created_unix_ns": (1 << 63) - 1}):
        text = shown(jobs_table([("pi4", job("running", **changes))]))
        assert "None" not in text
        assert "—" in text


def test_a_device_cannot_write_escapes_to_the_terminal() -> None:
    found = job("running", stage="\x1b[2Jgone", owner="a\x07b")
    assert "\x1b" not in shown(jobs_table([("pi4", found)]))
    assert "[red]" in shown(jobs_table([("pi4", job("running", stage="[red]"))]))


def test_left_behind() -> None:
    error = AgentError("pi4: it was damaged.", remedy="Measure again.")
    left = Left(job("damaged"), error.message, error, removed=True)
    assert "it was damaged. Removed." in shown(left_table([("pi4", left)]))
    document = json.loads(json.dumps(left_document("pi4", left)))
    assert (document["failed"], document["removed"], document["remedy"]) == (True, True, "Measure again.")
    assert left_document("pi4", Left(job("running"), "it still runs"))["failed"] is False
    assert job_document("pi4", job("running"))["device"] == "pi4"
