"""`quantize`: a float model and a recipe in, a model at the asked precision out.

Rules:
    * TensorFlow is never imported; litert-quantizer works on the `.tflite` itself.
    * A model is good only after it has been loaded and run in a process of its own (`check_runs`).
    * The same inputs give the same bytes, and the file is named by them.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from typing import TYPE_CHECKING

from edgepack.converters.artifacts import Provenance, QuantizedModel
from edgepack.converters.errors import ConversionError, DataError
from edgepack.converters.quantize.calibrate import Calibration, calibrate
from edgepack.converters.quantize.kept import operators_kept
from edgepack.converters.quantize.quiet import quiet
from edgepack.converters.quantize.recipe import Recipe, resolve_overrides
from edgepack.converters.quantize.rules import rules_for
from edgepack.converters.runtime import check_runs
from edgepack.converters.tflite.reader import read_graph
from edgepack.converters.tflite.writer import normalize

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.converters.artifacts import FloatModel
    from edgepack.converters.data.dataset import Dataset


def quantize(
    model: FloatModel,
    recipe: Recipe,
    representative: Dataset | None,
    folder: Path,
    *,
    calibration: Calibration | None = None,
) -> QuantizedModel:
    """Write the model at the recipe's precision into `folder`.

    Args:
        model: The float model.
        recipe: Precision, inputs and outputs, and overrides; not "auto" (see `search_precision`).
        representative: Samples for calibration; int8 and int16x8 need them, int4 is better with them.
        folder: Where the model and the cached calibration are written.
        calibration: Ranges that were taken already; None takes them from the cache or the samples.

    Raises:
        DataError: The precision needs representative data and there is none, or it does not fit the model.
        ConversionError: An override matches nothing, or the model cannot be quantized or run.
    """
    if recipe.precision == "auto":
        msg = "The precision 'auto' is a search, not a recipe that can be carried out."
        raise ConversionError(msg, remedy="Call search_precision, or name one precision.")
    folder.mkdir(parents=True, exist_ok=True)
    source = model.path.read_bytes()
    if recipe.precision == "float32" and not recipe.overrides:
        content = source
    else:
        source = normalize(source)
        calibration = calibration or _calibration(model, recipe, representative, folder, source)
        content = _convert(source, model, recipe, calibration)
    path = _write(content, model, recipe, folder)
    check_runs(path)
    return QuantizedModel(
        name=model.name,
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        precision=recipe.precision,
        provenance=_provenance(model, recipe, representative, calibration),
        kept_precision=operators_kept(read_graph(content), recipe.precision),
    )


def _calibration(
    model: FloatModel, recipe: Recipe, representative: Dataset | None, folder: Path, content: bytes
) -> Calibration | None:
    """Return the ranges that the recipe needs; None where it needs none."""
    if not recipe.uses_calibration:
        return None
    if representative is not None:
        return calibrate(model, representative, cache=folder, content=content)
    if not recipe.needs_calibration:
        return None  # int4 without data keeps float activations
    msg = f"{recipe.precision} needs representative data to find the ranges of '{model.name}'; none is given."
    raise DataError(
        msg,
        remedy='Name 100 to 500 samples in edgepack.toml: [data] representative = "calibration.npz";'
        " or build dynamic-int8, which needs none.",
    )


def _convert(content: bytes, model: FloatModel, recipe: Recipe, calibration: Calibration | None) -> bytes:
    """Return the bytes of the quantized model, made from the normalized `content` of the float model."""
    graph = read_graph(content)
    overrides = resolve_overrides(recipe, graph)
    rules = rules_for(recipe, graph, overrides, calibrated=calibration is not None)
    from litert_quantizer import quantizer

    with quiet():
        try:
            tool = quantizer.Quantizer(content, rules)
            needed = calibration is not None and tool.need_calibration
            result = tool.quantize(
                calibration.to_quantizer() if needed and calibration else None,
                enable_progress_bar=False,
                enable_progress_report=False,
            )
        except Exception as err:  # the library has no errors of its own: anything may come
            msg = f"'{model.name}' cannot be quantized to {recipe.precision}: {type(err).__name__}: {err}"
            raise ConversionError(
                msg,
                remedy="Try another precision, or keep an operator float32 by an override in edgepack.toml.",
            ) from err
    return bytes(result.quantized_model)


def _write(content: bytes, model: FloatModel, recipe: Recipe, folder: Path) -> Path:
    """Write the model under a name that its content gives it."""
    digest = hashlib.sha256(content).hexdigest()
    path = folder / f"{model.name}-{recipe.precision}-{digest[:12]}.tflite"
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)
    return path


def _provenance(
    model: FloatModel, recipe: Recipe, representative: Dataset | None, calibration: Calibration | None
) -> Provenance:
    inputs = {"model": model.sha256}
    if calibration is not None and representative is not None:
        inputs["representative"] = representative.sha256
    return Provenance(
        stage="quantize",
        inputs=inputs,
        options={
            "precision": recipe.precision,
            "io": recipe.io,
            "overrides": [[override.pattern, override.precision] for override in recipe.overrides],
            "calibration_samples": None if calibration is None else calibration.samples,
        },
        tools={name: version(name) for name in ("litert-quantizer", "ai-edge-litert")},
        parents=(model.provenance,),
    )
