"""The precision "auto": as low as the task's metric allows, layer by layer where the whole does not hold.

The ladder, from high to low, and why in this order:
    float32       4 bytes a weight: the reference.
    float16       2 bytes a weight, the same speed on a CPU, where weights are widened when loaded.
    int16x8       1 byte a weight, 2 an activation; integer, but with fewer fast kernels than int8.
    int8          1 byte a weight, 1 an activation; the fastest kernels on nearly every target.
    int4          half a byte a weight in CONV_2D and FULLY_CONNECTED, otherwise int8.
Without representative data int16x8 and int8 cannot be built; dynamic-int8 takes their place.

When a candidate holds: the drop stays within `max_drop` and, for a share of right answers, so does the upper
end of its one-sided 95 % interval. A search tries many candidates on the same samples; the one that is best
by luck would else be chosen (the Fashion-MNIST example: 1.0 points on 500 images were 2.4 on all 10,000).

How a rung is judged: the whole model first. If its metric falls by more than `max_drop`, layers are ranked by
the noise that they add (`TensorError.added_noise`, measured by tensor on the whole model at that rung), and
the smallest number of worst layers that must stay at the precision of the rung above is found by bisection.
Layers that were kept stay kept on the rungs below. A rung that holds in neither way ends the search. Nothing
is random: the same inputs take the same path.

The lowest rung that holds is returned. On a model of a few kilobytes a mixture can take more bytes than the
rung above it, for the operators at its seams; it still computes more layers in integers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from edgepack.converters.artifacts import Provenance, QuantizedModel, SearchStep
from edgepack.converters.errors import ConversionError, QualityError
from edgepack.converters.quantize.calibrate import Calibration, calibrate
from edgepack.converters.quantize.check import TENSOR_SAMPLES, compare_tensors
from edgepack.converters.quantize.convert import quantize
from edgepack.converters.quantize.execute import run_dataset
from edgepack.converters.quantize.kept import operator_precisions
from edgepack.converters.quantize.metrics import Metric, Outputs, default_metric, within
from edgepack.converters.quantize.recipe import STATIC_PRECISIONS, Override, Recipe
from edgepack.converters.runtime import LiteRtModel
from edgepack.converters.tflite.reader import read_graph

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgepack.converters.artifacts import FloatModel
    from edgepack.converters.data.dataset import Dataset
    from edgepack.targets.model import Precision

LADDER: tuple[Precision, ...] = ("float32", "float16", "int16x8", "int8", "int4")
_LADDER_WITHOUT_DATA: tuple[Precision, ...] = ("float32", "float16", "dynamic-int8", "int4")


@dataclass
class _Search:
    """One search: what it works on, the path that it has taken, and the layers that it had to keep."""

    model: FloatModel
    recipe: Recipe
    representative: Dataset | None
    evaluation: Dataset
    folder: Path
    metric: Metric
    max_drop: float
    reference: Outputs
    calibration: Calibration | None
    on_step: Callable[[SearchStep], None] | None
    steps: list[SearchStep] = field(default_factory=list)
    kept: dict[str, Precision] = field(default_factory=dict)
    above: QuantizedModel | None = None

    def attempt(self, precision: Precision, kept: dict[str, Precision]) -> tuple[QuantizedModel, bool]:
        """Build and measure one candidate and note the step; return it and whether it holds."""
        overrides = tuple(Override(_literal(name), higher) for name, higher in kept.items())
        recipe = replace(self.recipe, precision=precision, overrides=(*overrides, *self.recipe.overrides))
        built = quantize(self.model, recipe, self.representative, self.folder, calibration=self.calibration)
        outputs = run_dataset(LiteRtModel.open(built.path), self.evaluation)
        value = self._score(outputs)
        drop = self.metric.drop(self.float_value, value)
        high = self.metric.drop_high(outputs, self.evaluation, self.reference)
        holds = within(drop if high is None else max(drop, high), self.max_drop)
        step = SearchStep(
            description=_describe(precision, kept, self.metric),
            precision=precision,
            kept=tuple(kept),
            size_bytes=built.path.stat().st_size,
            metric=value,
            drop=drop,
            accepted=holds,
            drop_high=high,
        )
        self.steps.append(step)
        if self.on_step is not None:
            self.on_step(step)
        return built, holds

    def rung(self, precision: Precision, higher: Precision) -> QuantizedModel | None:
        """Return the candidate of a rung that holds with the fewest layers kept, or None."""
        whole, holds = self.attempt(precision, self.kept)
        if holds or self.above is None:
            return whole if holds else None
        ranked = self._rank(self.above.path, whole.path)
        best = None
        low, high = 1, len(ranked) - 1
        while low <= high:  # taken for monotonic: more kept layers, less loss
            middle = (low + high) // 2
            kept = {**self.kept, **dict.fromkeys(ranked[:middle], higher)}
            built, holds = self.attempt(precision, kept)
            if holds:
                best, high = (built, kept), middle - 1
            else:
                low = middle + 1
        if best is None:
            return None
        self.kept = best[1]
        return best[0]

    @cached_property
    def float_value(self) -> float:
        """The metric on the float model."""
        return self._score(self.reference)

    def _score(self, outputs: Outputs) -> float:
        return self.metric.score(outputs, self.evaluation, self.reference).value

    def _rank(self, above: Path, whole: Path) -> list[str]:
        """Return the layers that the rung lowers, by output tensor, those that add the most noise first."""
        before, after = (operator_precisions(read_graph(path)) for path in (above, whole))
        lowered = {name for name, precision in after.items() if before.get(name) != precision}
        errors = compare_tensors(self.model.path, whole, self.evaluation.head(TENSOR_SAMPLES))
        layers = [error for error in errors if error.name in lowered]
        return [error.name for error in sorted(layers, key=lambda error: -(error.added_noise or 0.0))]


def search_precision(  # noqa: PLR0913 - every argument is a choice of the user
    model: FloatModel,
    recipe: Recipe,
    representative: Dataset | None,
    evaluation: Dataset,
    folder: Path,
    *,
    metric: Metric | None = None,
    max_drop: float = 0.01,
    ladder: tuple[Precision, ...] = LADDER,
    on_step: Callable[[SearchStep], None] | None = None,
) -> QuantizedModel:
    """Return the model at the lowest precision whose metric stays within `max_drop` of float.

    Args:
        model: The float model.
        recipe: Inputs, outputs and overrides that hold at every step; its precision is not read.
        representative: Samples for calibration; None leaves out int16x8 and int8.
        evaluation: Samples that the metric is measured on; without labels the float model is the judge.
        folder: Where the candidates are written.
        metric: What counts; None for what fits the data.
        max_drop: Most that the metric may fall, in its own unit: 0.01 is one percentage point of top-1.
        ladder: The precisions to try, from high to low; a caller passes those that the target can run.
        on_step: Called after every step, to show progress.

    Raises:
        QualityError: Not even the first rung holds.
        DataError: The data does not fit the model or the metric.
        ConversionError: A candidate cannot be built or run.
    """
    reference = run_dataset(LiteRtModel.open(model.path), evaluation)
    search = _Search(
        model=model,
        recipe=recipe,
        representative=representative,
        evaluation=evaluation,
        folder=folder,
        metric=metric or default_metric(evaluation, reference),
        max_drop=max_drop,
        reference=reference,
        calibration=None if representative is None else calibrate(model, representative, cache=folder),
        on_step=on_step,
    )
    rungs = _rungs(ladder, representative)
    if not rungs:
        msg = f"None of the precisions {', '.join(ladder) or '(none)'} can be tried for '{model.name}'."
        raise ConversionError(msg, remedy="Name one precision instead of auto: build --precision int8.")
    best = None
    for higher, precision in zip((rungs[0], *rungs), rungs, strict=False):
        found = search.rung(precision, higher)
        if found is None:
            break
        best = found
        search.above = found
    if best is None:
        step = search.steps[0]
        loss = f"{step.drop:.4g} of {search.metric.name}; allowed {max_drop:g}"
        msg = f"'{model.name}' loses {loss} at the first precision already, {rungs[0]}."
        raise QualityError(msg, remedy="Raise max_drop under [quality], or put float32 first on the ladder.")
    return _result(search, best)


def _rungs(ladder: tuple[Precision, ...], representative: Dataset | None) -> tuple[Precision, ...]:
    """Return the ladder, with what needs representative data replaced where there is none."""
    if representative is not None:
        return ladder
    allowed = {"dynamic-int8" if rung in STATIC_PRECISIONS else rung for rung in ladder}
    return tuple(rung for rung in _LADDER_WITHOUT_DATA if rung in allowed)


def _result(search: _Search, best: QuantizedModel) -> QuantizedModel:
    own = best.provenance
    provenance = Provenance(
        stage="search",
        inputs={**own.inputs, "evaluation": search.evaluation.sha256},
        options={**own.options, "metric": search.metric.name, "max_drop": search.max_drop},
        tools=own.tools,
        parents=(search.model.provenance,),
    )
    return replace(best, precision="auto", search=tuple(search.steps), provenance=provenance)


def _describe(precision: str, kept: dict[str, Precision], metric: Metric) -> str:
    counts = Counter(kept.values())
    parts = [f"{count} layer{'s' * (count > 1)} in {higher}" for higher, count in sorted(counts.items())]
    layers = f" with {' and '.join(parts)}" if parts else ""
    against = "" if metric.needs_labels else f" (judged by {metric.name})"
    return f"{precision}{layers}{against}"


def _literal(name: str) -> str:
    """Return an override pattern that matches exactly this name."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
