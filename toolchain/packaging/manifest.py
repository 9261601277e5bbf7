"""What a package says about itself: `manifest.json`, version 1.

Rules:
    * The manifest names every other file of the package with its size and SHA-256.
    * The signature covers the manifest, and so every file.
    * A reader trusts nothing: unknown keys, odd paths, absurd sizes and wrong types are errors.
    * The bytes are canonical (sorted keys, fixed separators, one final newline): the same content
      gives the same bytes, and `package_id` is their SHA-256.

The JSON Schema is `docs/schemas/manifest-v1.json`, generated from these classes and checked by a test.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from edgepack.toolchain.errors import PackageError

MANIFEST_NAME = "manifest.json"
SIGNATURE_NAME = "manifest.json.sig"
MAX_MANIFEST_BYTES = 1 << 20
MAX_FILE_BYTES = 2 << 30
MAX_FILES = 10_000
MAX_TOTAL_BYTES = 4 << 30

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
# Shown to people in a terminal: no control characters, which could carry escape codes.
Line = Annotated[str, StringConstraints(max_length=1024, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


def is_safe_path(path: str) -> bool:
    """Return whether a path is relative, without `..`, of plain characters, and not too long."""
    return len(path) <= 255 and _PATH.fullmatch(path) is not None


class _Strict(BaseModel):
    """A frozen value that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TensorSpec(_Strict):
    """An input or output of the model.

    Attributes:
        name: The tensor's name in the model.
        shape: Fixed shape, batch first.
        dtype: NumPy's name of the element type, such as "int8".
        layout: "NHWC" for images, "NC" for vectors; None where the model does not say.
        scale: Quantization scale; None for a float tensor. real = scale * (quantized - zero_point).
        zero_point: Quantization zero point; None for a float tensor.
    """

    name: Line
    shape: Annotated[list[Annotated[int, Field(ge=1, le=1 << 31)]], Field(max_length=8)]
    dtype: Literal["float32", "float16", "int8", "uint8", "int16", "int32", "int64", "bool"]
    layout: Line | None = None
    scale: float | None = None
    zero_point: int | None = None


class FileEntry(_Strict):
    """A file of the package."""

    path: str
    size_bytes: Annotated[int, Field(ge=0, le=MAX_FILE_BYTES)]
    sha256: Sha256

    @model_validator(mode="after")
    def _check_path(self) -> FileEntry:
        if not is_safe_path(self.path) or self.path in (MANIFEST_NAME, SIGNATURE_NAME):
            message = f"unsafe path {self.path!r}"
            raise ValueError(message)
        return self


class RuntimeRequirement(_Strict):
    """The runtime that the package needs."""

    kind: Literal["litert", "tflite-runtime"]
    min_version: str = Field(pattern=r"^\d+(\.\d+){0,3}$")


class CompiledCode(_Strict):
    """No runtime: the package holds C for a microcontroller, and what was built of it.

    Attributes:
        kind: "mcu".
        core: The core that it was built for.
        header: The header that an application includes.
        library: The static library; None for none.
        images: Format ("elf", "bin", "hex", "uf2") to the image of a board; empty for a bare core.
        arena_bytes: Memory that the caller gives to the model.
    """

    kind: Literal["mcu"]
    core: Line
    header: str
    library: str | None
    images: dict[Literal["elf", "bin", "hex", "uf2"], str]
    arena_bytes: Annotated[int, Field(ge=0, le=1 << 40)]


class GoldenCase(_Strict):
    """One golden input with the output that the host computed for it; raw little-endian tensors, C order."""

    inputs: list[str]
    outputs: list[str]


class GoldenTolerance(_Strict):
    """How far a device may be from the golden outputs.

    Attributes:
        max_error: Largest allowed absolute difference of one output value, in `unit`.
        unit: "quantized_steps" for integer outputs, "absolute" for float outputs.
        min_top1_agreement: Smallest allowed share of cases whose arg max agrees, 0..1; None where an
            output is no class score.
        reason: How the tolerance was found.
    """

    max_error: Annotated[float, Field(ge=0)]
    unit: Literal["quantized_steps", "absolute"]
    min_top1_agreement: Annotated[float, Field(ge=0, le=1)] | None
    reason: Line


class Evaluation(_Strict):
    """An evaluation set inside the package, for accuracy on the device.

    Attributes:
        inputs: One file an input: `count` raw tensors after each other, in the model's input dtype.
        labels: Raw little-endian int64 [count]; None for a metric without labels.
        count: Number of samples.
        metric: Name of the metric, such as "top1".
    """

    inputs: list[str]
    labels: str | None
    count: Annotated[int, Field(ge=1, le=1_000_000)]
    metric: Line


class Quality(_Strict):
    """The quality measured at build time, on the host.

    Attributes:
        metric: Name of the metric, such as "top1"; None where there was no evaluation set.
        float_value: The float model's metric.
        deployed_value: The packaged model's metric.
        count: Number of evaluation samples.
        output_sqnr_db: Signal to quantization noise ratio of the first output in dB; None where it is
            the float model itself.
        top1_agreement: Share of samples whose arg max agrees between float and packaged model.
    """

    metric: Line | None
    float_value: float | None
    deployed_value: float | None
    count: int
    output_sqnr_db: float | None
    top1_agreement: float | None


class Manifest(_Strict):
    """The whole of `manifest.json`."""

    schema_version: Literal[1] = 1
    name: Name
    target: Name
    precision: Line
    model: str
    inputs: Annotated[list[TensorSpec], Field(min_length=1, max_length=64)]
    outputs: Annotated[list[TensorSpec], Field(min_length=1, max_length=64)]
    runtime: Annotated[RuntimeRequirement | CompiledCode, Field(discriminator="kind")]
    files: Annotated[list[FileEntry], Field(min_length=1, max_length=MAX_FILES)]
    labels: str | None
    preprocessing: dict[str, Any] | None
    golden: Annotated[list[GoldenCase], Field(min_length=1, max_length=64)]
    golden_tolerance: GoldenTolerance
    evaluation: Evaluation | None
    quality: Quality | None
    provenance: dict[str, Any]

    @model_validator(mode="after")
    def _check_files(self) -> Manifest:
        paths = [entry.path for entry in self.files]
        named = [self.model, *([self.labels] if self.labels else [])]
        named += [path for case in self.golden for path in (*case.inputs, *case.outputs)]
        if isinstance(self.runtime, CompiledCode):
            named += [self.runtime.header, *self.runtime.images.values()]
            named += [self.runtime.library] if self.runtime.library else []
        if self.evaluation:
            named += [*self.evaluation.inputs, *([self.evaluation.labels] if self.evaluation.labels else [])]
        lower = [path.lower() for path in paths]
        if len(set(lower)) != len(lower):
            message = "two files have the same path"
            raise ValueError(message)
        if absent := sorted(set(named) - set(paths)):
            message = f"'files' does not list {absent[0]!r}"
            raise ValueError(message)
        if sum(entry.size_bytes for entry in self.files) > MAX_TOTAL_BYTES:
            message = f"the files together exceed {MAX_TOTAL_BYTES} bytes"
            raise ValueError(message)
        if any(len(c.inputs) != len(self.inputs) or len(c.outputs) != len(self.outputs) for c in self.golden):
            message = "a golden case has another number of inputs or outputs than the model"
            raise ValueError(message)
        return self

    def to_bytes(self) -> bytes:
        """Return the canonical bytes of this manifest."""
        value = self.model_dump(mode="json")
        return (json.dumps(value, sort_keys=True, indent=1, ensure_ascii=True) + "\n").encode()

    @property
    def package_id(self) -> str:
        """The SHA-256 of the canonical bytes: the identity of the package."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


def parse_manifest(data: bytes, *, source: str) -> Manifest:
    """Check the bytes of a `manifest.json` and return the manifest.

    Args:
        data: The bytes, from a package that nobody has vouched for yet.
        source: What to call the package in an error, usually its path.

    Raises:
        PackageError: The bytes are not a valid manifest of a known version, or not in canonical form.
    """
    remedy = "Build the package again with `edgepack build`, or ask its maker for a good copy."
    if len(data) > MAX_MANIFEST_BYTES:
        message = f"{source}: manifest.json has {len(data)} bytes; at most {MAX_MANIFEST_BYTES} are allowed."
        raise PackageError(message, remedy=remedy)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as err:
        message = f"{source}: manifest.json is not JSON ({err})."
        raise PackageError(message, remedy=remedy) from err
    version = value.get("schema_version") if isinstance(value, dict) else None
    if version != 1:
        message = f"{source}: manifest.json has schema_version {version!r}; this edgepack reads version 1."
        raise PackageError(message, remedy="Upgrade edgepack, or build the package again with this version.")
    try:
        manifest = Manifest.model_validate(value)
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "manifest"
        message = f"{source}: manifest.json: {where}: {first['msg']}."
        raise PackageError(message, remedy=remedy) from err
    if manifest.to_bytes() != data:
        message = f"{source}: manifest.json is not in canonical form."
        raise PackageError(message, remedy=remedy)
    return manifest
