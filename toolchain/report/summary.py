"""What a report says about a build, beside the runs that were measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from edgepack.converters.artifacts import SearchStep

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class TensorQuality:
    """How far one tensor of the deployed model is from the float model.

    Attributes:
        name: The tensor's name in the float model.
        operator: The operator that writes it.
        sqnr_db: Signal to quantization noise ratio in decibels; None where there is no error or no signal.
        max_step_error: Largest error in quantized steps; None for a float tensor.
    """

    name: str
    operator: str
    sqnr_db: float | None
    max_step_error: float | None


@dataclass(frozen=True)
class BuildSummary:
    """One built package.

    Attributes:
        name: The package's name.
        target: The target it was built for.
        precision: What was asked for: a precision, "auto", or "as-is".
        package_id: Identity of the package.
        file_name: Name of the `.epk` file.
        package_bytes: Size of the `.epk`.
        model_bytes: Size of the `.tflite` inside.
        metric: Name of the metric; None where there was no evaluation set.
        float_value: The float model's metric; None where it is not known.
        deployed_value: The packaged model's metric on the host; None likewise.
        low: Lower end of the deployed metric's 95 % interval; None where there is none.
        high: Upper end.
        samples: Number of evaluation samples.
        top1_agreement: Share of samples with the same arg max in float and packaged model; None where the
            output holds no scores.
        worst_tensors: The tensors whose operators add the most noise, worst first.
        kept_precision: Layers kept at another precision, to that precision.
        search: The path that "auto" took; empty otherwise.
        mcu: What a build for a microcontroller measured: flash, RAM, instructions; None for other targets.
        package: Where the `.epk` lies; None where it is not at hand. A fact of this machine: it is not kept.
    """

    name: str
    target: str
    precision: str
    package_id: str
    file_name: str
    package_bytes: int
    model_bytes: int
    metric: str | None
    float_value: float | None
    deployed_value: float | None
    low: float | None
    high: float | None
    samples: int
    top1_agreement: float | None
    worst_tensors: tuple[TensorQuality, ...]
    kept_precision: dict[str, str]
    search: tuple[SearchStep, ...]
    mcu: dict[str, Any] | None = None
    package: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return this summary as JSON values."""
        return {key: value for key, value in asdict(self).items() if key != "package"}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> BuildSummary:
        """Return the summary that `to_dict` wrote."""
        tensors = tuple(TensorQuality(**tensor) for tensor in value["worst_tensors"])
        steps = tuple(SearchStep(**{**step, "kept": tuple(step["kept"])}) for step in value["search"])
        return cls(**{**value, "worst_tensors": tensors, "search": steps})
