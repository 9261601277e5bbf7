"""A quantized model becomes a signed package: manifest, golden cases, evaluation set, signature."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.toolchain.packaging.archive import Package, write_package
from edgepack.toolchain.packaging.golden import Golden, choose_golden, golden_case_files, little_endian
from edgepack.toolchain.packaging.manifest import (
    CompiledCode,
    Evaluation,
    FileEntry,
    GoldenTolerance,
    Manifest,
    Quality,
    RuntimeRequirement,
    TensorSpec,
)
from edgepack.toolchain.packaging.signature import sign

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgepack.converters.artifacts import QuantizedModel
    from edgepack.converters.data.dataset import Dataset
    from edgepack.converters.mcu.product import Product
    from edgepack.converters.quantize.check import Verification
    from edgepack.converters.runtime import LiteRtModel, TensorDetails
    from edgepack.targets.model import Target

_MODEL = "model/model.tflite"
_LABELS = "labels.txt"
_GOLDEN_SAMPLES = 64
_MIN_VERSION = {"litert": "2.0", "tflite-runtime": "2.13"}
"""The oldest runtime that runs what litert-quantizer writes; the golden outputs decide on the device."""
BUILD_REPORT = "build.json"
"""In a package for a microcontroller: flash, RAM, instructions, compiler."""


@dataclass(frozen=True)
class _Parts:
    """What goes into the package beside the model."""

    golden: Golden
    files: Mapping[str, bytes]
    evaluation: Evaluation | None
    code: CompiledCode | None = None


def pack(  # noqa: PLR0913 - the parts of a package, one argument each
    model: QuantizedModel,
    *,
    name: str,
    target: Target,
    samples: Dataset | None,
    evaluation: Dataset | None,
    verification: Verification | None,
    preprocessing: Mapping[str, Any],
    key: Path,
    path: Path,
) -> Package:
    """Write the signed package of a model.

    Args:
        model: The model that will be deployed.
        name: The package's name on a device.
        target: The target it was built for.
        samples: Where the golden inputs come from; None for random inputs of a fixed seed.
        evaluation: The set to pack for accuracy on the device; None for none.
        verification: The quality measured at build time; None where there was no data.
        preprocessing: How raw samples become the model's input, as JSON values.
        key: The OpenSSH private key that signs.
        path: The `.epk` to write.

    Raises:
        ConversionError: The model cannot be run.
        PackageError: The package cannot be written or signed.
    """
    from edgepack.converters.runtime import LiteRtModel

    runner = LiteRtModel.open(model.path)
    parts = _parts(model, runner, samples, evaluation, verification)
    if target.family == "mcu":
        parts = _compiled(parts, model, name, target)
    cases, golden_files = golden_case_files(parts.golden)
    contents: dict[str, bytes] = {_MODEL: model.path.read_bytes(), **golden_files, **parts.files}
    manifest = Manifest(
        name=name,
        target=target.name,
        precision=str(model.precision),
        model=_MODEL,
        inputs=[_spec(details) for details in runner.inputs],
        outputs=[_spec(details) for details in runner.outputs],
        runtime=parts.code or _runtime(target),
        files=[_entry(file, data) for file, data in sorted(contents.items())],
        labels=_LABELS if _LABELS in contents else None,
        preprocessing=dict(preprocessing),
        golden=cases,
        golden_tolerance=parts.golden.tolerance,
        evaluation=parts.evaluation,
        quality=_quality(verification, model),
        provenance=model.provenance.to_dict(),
    )
    return write_package(path, manifest, contents, sign(manifest.to_bytes(), key))


def _parts(
    model: QuantizedModel,
    runner: LiteRtModel,
    samples: Dataset | None,
    evaluation: Dataset | None,
    verification: Verification | None,
) -> _Parts:
    from edgepack.converters.quantize.execute import batches

    chosen = None if samples is None else list(batches(runner, samples.head(_GOLDEN_SAMPLES)))
    scores = verification is not None and verification.top1_agreement is not None
    golden = choose_golden(model.path, chosen, precision=str(model.precision), class_scores=scores)
    files: dict[str, bytes] = {}
    if samples is not None and samples.class_names:
        files[_LABELS] = ("\n".join(samples.class_names) + "\n").encode()
    if evaluation is None or verification is None or runner.inputs[0].shape[0] != 1:
        return _Parts(golden, files, None)
    packed, more = _evaluation(runner, evaluation, verification.metric_deployed.metric)
    return _Parts(golden, files | more, packed)


def _compiled(parts: _Parts, model: QuantizedModel, name: str, target: Target) -> _Parts:
    """Return the parts of a package for a microcontroller: C, library and image, and exact golden outputs."""
    from edgepack.converters.mcu.product import make_product

    inputs = [tuple(little_endian(array) for array in case) for case in parts.golden.inputs]
    with tempfile.TemporaryDirectory(prefix="edgepack-") as folder:
        product = make_product(model.path, name=name, target=target, inputs=inputs, folder=Path(folder))
    outputs = tuple(
        tuple(
            np.frombuffer(data, array.dtype.newbyteorder("<")).astype(array.dtype).reshape(array.shape)
            for data, array in zip(case.outputs, arrays, strict=True)
        )
        for case, arrays in zip(product.golden, parts.golden.outputs, strict=True)
    )
    tolerance = GoldenTolerance(
        max_error=0.0,
        unit=parts.golden.tolerance.unit,
        min_top1_agreement=None,
        reason="; ".join(product.report["checks"]),
    )
    report = json.dumps(product.report, sort_keys=True, indent=1).encode() + b"\n"
    files = {**parts.files, **product.files, BUILD_REPORT: report}
    golden = replace(parts.golden, outputs=outputs, tolerance=tolerance)
    return _Parts(golden, files, parts.evaluation, _compiled_code(product, target))


def _compiled_code(product: Product, target: Target) -> CompiledCode:
    by_suffix = {path.rpartition(".")[2]: path for path in product.files if path.startswith("image/")}
    return CompiledCode.model_validate(
        {
            "kind": "mcu",
            "core": target.cores[0].name,
            "header": f"c/src/{product.code.name}.h",
            "library": f"lib/lib{product.code.name}.a",
            "images": by_suffix,
            "arena_bytes": product.code.plan.arena_bytes,
        }
    )


def _evaluation(runner: LiteRtModel, data: Dataset, metric: str) -> tuple[Evaluation, dict[str, bytes]]:
    """Return an evaluation set in the model's own input types, and its files."""
    from edgepack.converters.quantize.execute import from_real

    files = {
        f"evaluation/input-{index:02d}.bin": little_endian(from_real(array, details))
        for index, (array, details) in enumerate(zip(data.inputs, runner.inputs, strict=True))
    }
    inputs, labels = sorted(files), None
    if data.labels is not None and data.labels.dtype == np.int64:
        labels = "evaluation/labels.bin"
        files[labels] = little_endian(data.labels)
    return Evaluation(inputs=inputs, labels=labels, count=len(data), metric=metric), files


def _spec(details: TensorDetails) -> TensorSpec:
    image = len(details.shape) == 4  # LiteRT's convolutions take images as NHWC and nothing else
    return TensorSpec.model_validate(
        {
            "name": details.name,
            "shape": list(details.shape),
            "dtype": details.dtype.name,
            "layout": "NHWC" if image else None,
            "scale": details.scale,
            "zero_point": details.zero_point,
        }
    )


def _runtime(target: Target) -> RuntimeRequirement:
    kind = target.runtime.kind
    assert kind != "mcu", "a microcontroller has no runtime"
    return RuntimeRequirement(kind=kind, min_version=_MIN_VERSION[kind])


def _entry(path: str, data: bytes) -> FileEntry:
    return FileEntry(path=path, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def _quality(verification: Verification | None, model: QuantizedModel) -> Quality | None:
    if verification is None:
        return None
    compared = model.precision != "as-is"
    return Quality(
        metric=verification.metric_deployed.metric,
        float_value=verification.metric_float.value if compared else None,
        deployed_value=verification.metric_deployed.value,
        count=verification.samples,
        output_sqnr_db=verification.outputs[0].sqnr_db if compared else None,
        top1_agreement=verification.top1_agreement if compared else None,
    )
