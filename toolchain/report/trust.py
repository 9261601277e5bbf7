"""Whether a latency can be believed, in words that need no colour.

Rules:
    * The judgement is the record's; here it only becomes words.
    * A quick run is always called one, whatever its verdict: its windows are shorter than the rules ask for.
    * A run that nobody judged is said to be so; it is not stable by default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.toolchain.report.cells import DASH, Cell
from edgepack.toolchain.report.samples import verdict_of

if TYPE_CHECKING:
    from edgepack.toolchain.results.job_record import Configuration
    from edgepack.toolchain.results.schema import RunRecord

NOT_JUDGED = "nobody judged whether it is stable"
_MARKS = {"stable": "✓", "unstable": "!"}
MARKS_EXPLAINED = "✓ stable, ! unstable"


def verdict_cell(record: RunRecord, place: Configuration | None) -> Cell:
    """Return the verdict of one configuration: "stable", or "unstable" with the names of its causes."""
    quick = ["quick"] if record.spec.quick else []
    verdict = verdict_of(record, place) if place else None
    if verdict is None:
        reason = NOT_JUDGED if place else "no configuration ran"
        return Cell(DASH, reason=reason, detail="; ".join(quick) or None)
    causes = ", ".join(dict.fromkeys(reason.code.replace("-", " ") for reason in verdict.reasons))
    detail = "; ".join([causes, *quick] if causes else quick)
    return Cell(verdict.status, detail=detail or None, tone="good" if verdict.status == "stable" else "bad")


def mark(record: RunRecord, place: Configuration | None) -> str:
    """Return the sign that stands beside a latency in narrow tables; empty where nobody judged."""
    verdict = verdict_of(record, place) if place else None
    return _MARKS[verdict.status] if verdict else ""


def why_unstable(record: RunRecord, place: Configuration | None) -> str | None:
    """Return "unstable because …" with the figures; None where it is stable or nobody judged."""
    verdict = verdict_of(record, place) if place else None
    if verdict is None or verdict.status == "stable":
        return None
    causes = "; ".join(reason.message.rstrip(".") for reason in verdict.reasons)
    return f"unstable because {causes}" if causes else "unstable"
