"""Runs and builds as one JSON document; each record follows `docs/schemas/run-record-v2.json`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edgepack.toolchain.report.compare_json import comparison_document
from edgepack.toolchain.results.change import Comparisons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.report.summary import BuildSummary
    from edgepack.toolchain.results.change import Comparison
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
        "comparisons": comparison_document(Comparisons(tuple(comparisons)))["comparisons"],
    }
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"
