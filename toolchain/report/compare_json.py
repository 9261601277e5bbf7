"""A comparison as JSON values."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edgepack.toolchain.results.foreign import ForeignRun
from edgepack.toolchain.results.matching import describe_run

if TYPE_CHECKING:
    from edgepack.toolchain.results.change import AnyRun, Comparison, Comparisons, MetricChange


def comparison_document(result: Comparisons) -> dict[str, Any]:
    """Return all that was compared: `{"schema_version": 1, "passed": …, "comparisons": […], …}`."""
    return {
        "schema_version": 1,
        "passed": result.passed,
        "comparisons": [_comparison(comparison) for comparison in result.comparisons],
        "only_base": list(result.only_base),
        "only_new": list(result.only_new),
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    headline = comparison.headline
    return {
        "passed": comparison.passed,
        "base": _run(comparison.base),
        "new": _run(comparison.new),
        "headline": headline.model_dump(mode="json") if headline else None,
        "warnings": list(comparison.warnings),
        "changes": [_change(change) for change in comparison.changes],
    }


def _run(run: AnyRun) -> dict[str, Any]:
    if isinstance(run, ForeignRun):
        return {"run_id": run.run_id, "tool": run.tool, "model": run.model, "threads": run.threads}
    return {
        "run_id": run.run_id,
        "tag": run.tag,
        "time": run.time.isoformat(),
        "what": describe_run(run),
        "emulated": run.emulated,
    }


def _change(change: MetricChange) -> dict[str, Any]:
    place = change.configuration
    return {
        "metric": change.key,
        **{
            key: value
            for key, value in vars(change).items()
            if key not in ("configuration", "gates", "exact")
        },
        "configuration": place.model_dump(mode="json") if place else None,
        "gates": [
            {
                "gate": each.gate.text,
                "limit": asdict(each.gate.limit),
                "status": each.status,
                "undecided": each.undecided,
                "message": each.message,
            }
            for each in change.gates
        ],
    }
