"""Runs and builds as one JSON document; each record follows `docs/schemas/run-record-v2.json`."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.report.summary import BuildSummary
    from edgepack.toolchain.results.change import Comparison, MetricChange
    from edgepack.toolchain.results.schema import RunRecord


def json_report(
    records: Sequence[RunRecord],
    builds: Sequence[BuildSummary] = (),
    comparisons: Sequence[Comparison] = (),
) -> str:
    """Return `{"schema_version": 1, "records": […], "builds": […], "comparisons": […]}`, samples included."""
    value = {
        "schema_version": 1,
        "records": [record.model_dump(mode="json") for record in records],
        "builds": [build.to_dict() for build in builds],
        "comparisons": [_comparison(compared) for compared in comparisons],
    }
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"


def _comparison(found: Comparison) -> dict[str, Any]:
    return {
        "base": found.base.run_id,
        "new": found.new.run_id,
        "passed": found.passed,
        "warnings": list(found.warnings),
        "changes": [_change(change) for change in found.changes],
    }


def _change(change: MetricChange) -> dict[str, Any]:
    place = change.configuration
    value = {field.name: getattr(change, field.name) for field in fields(change)}
    gates = [{"gate": g.gate.text, "status": g.status, "message": g.message} for g in change.gates]
    return {**value, "configuration": place.model_dump() if place else None, "gates": gates}
