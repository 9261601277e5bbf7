"""Runs and builds as one JSON document; each record follows `docs/schemas/run-record-v1.json`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.report.summary import BuildSummary
    from edgepack.toolchain.results.schema import RunRecord


def json_report(records: Sequence[RunRecord], builds: Sequence[BuildSummary] = ()) -> str:
    """Return `{"schema_version": 1, "records": [...], "builds": [...]}`, raw samples included."""
    value = {
        "schema_version": 1,
        "records": [record.model_dump(mode="json") for record in records],
        "builds": [build.to_dict() for build in builds],
    }
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"
