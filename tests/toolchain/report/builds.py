"""Build summaries for the tests of reports."""

from __future__ import annotations

from edgepack.converters.artifacts import SearchStep
from edgepack.toolchain.report.summary import BuildSummary, TensorQuality

_STEPS = (
    SearchStep("float16", "float16", (), 57_000, 0.9211, 0.0002, accepted=True),
    SearchStep("int8", "int8", (), 36_200, 0.9048, 0.0165, accepted=False),
    SearchStep("int8 with 2 layers in int16x8", "int8", ("a", "b"), 39_800, 0.9192, 0.0021, accepted=True),
)


def make_build(precision: str, name: str = "fashion", **changes: object) -> BuildSummary:
    """What a build of 36,200 bytes says about itself; `auto` has a path."""
    values = {
        "name": name,
        "target": "rpi",
        "precision": precision,
        "package_id": "ab" * 32,
        "file_name": f"{name}-rpi-{precision}.epk",
        "package_bytes": 76_200,
        "model_bytes": 36_200,
        "metric": "top1",
        "float_value": 0.9213,
        "deployed_value": 0.9148,
        "low": 0.909,
        "high": 0.92,
        "samples": 10_000,
        "top1_agreement": 0.98,
        "worst_tensors": (TensorQuality("dense/MatMul", "FULLY_CONNECTED", 22.1, 3.0),),
        "kept_precision": {},
        "search": _STEPS if precision == "auto" else (),
    }
    return BuildSummary(**{**values, **changes})
