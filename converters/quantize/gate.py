"""The quality gate: what a project allows quantization to cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.errors import QualityError
from edgepack.converters.quantize.metrics import within

if TYPE_CHECKING:
    from edgepack.converters.quantize.check import Verification
    from edgepack.converters.quantize.metrics import Score
    from edgepack.converters.quantize.tensor_error import TensorError


def check_gate(
    verification: Verification,
    *,
    max_drop: float | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
) -> None:
    """Hold a verification against the limits of the project; None sets no limit.

    Args:
        verification: What was measured.
        max_drop: Most that the deployed model may be worse than float, in the metric's own unit.
        minimum: Least value of the deployed model's metric.
        maximum: Largest value of the deployed model's metric, for metrics such as mse.

    Raises:
        QualityError: A limit is broken; the message lists the tensors that cause it.
    """
    score = verification.metric_deployed
    broken = []
    if max_drop is not None and not within(verification.drop, max_drop):
        float_value = verification.metric_float.value
        broken.append(
            f"falls by {verification.drop:.4g} from float's {float_value:.4g}; allowed {max_drop:g}"
        )
    if minimum is not None and score.value < minimum:
        broken.append(f"is below the minimum {minimum:g}")
    if maximum is not None and score.value > maximum:
        broken.append(f"is above the maximum {maximum:g}")
    if not broken:
        return
    causes = [tensor for tensor in verification.worst_tensors() if tensor.added_noise]
    found = f"{score.metric} {score.value:.4g}{_interval(score)} on {score.samples} samples"
    blame = ", ".join(map(_cause, causes)) or "no single tensor"
    msg = f"{verification.precision}: {found} {' and '.join(broken)}. Most of the error comes from {blame}."
    worst = causes[0].pattern if causes else "LAYER"
    raise QualityError(
        msg,
        remedy=f"Keep '{worst}' at a higher precision by an override in edgepack.toml, set precision to auto,"
        " or accept the loss with --allow-quality-drop.",
    )


def _interval(score: Score) -> str:
    return "" if score.low is None else f" (95 %: {score.low:.4g} to {score.high:.4g})"


def _cause(tensor: TensorError) -> str:
    sqnr = "no SQNR" if tensor.sqnr_db is None else f"{tensor.sqnr_db:.1f} dB"
    return f"'{tensor.pattern}' ({tensor.operator}, {sqnr})"
