"""The values that travel between the stages.

Rules:
    * An artifact is a file on disk, named by its content, with an account of where it came from.
    * Artifacts are frozen. A stage reads one and returns another; it never changes what it was given.
    * Any stage can start from a file: `artifact_of(path)` hashes it and starts a new provenance.

    FloatModel ── quantize ──> QuantizedModel ── pack ──> Package (toolchain/packaging)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edgepack.targets.model import Precision

_CHUNK_BYTES = 1 << 20


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder's files in sorted order, as 64 hex digits.

    A folder (a SavedModel, an image folder) is hashed as the sequence of `relative name, NUL, file hash`.
    """
    if path.is_dir():
        digest = hashlib.sha256()
        for child in sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(f"{child.relative_to(path).as_posix()}\0{sha256_of(child)}".encode())
        return digest.hexdigest()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@dataclass(frozen=True)
class Provenance:
    """Where an artifact came from.

    Attributes:
        stage: The stage that made it, such as "import" or "quantize".
        inputs: Name of each input to its SHA-256.
        options: What the stage was asked to do, as JSON values.
        tools: Name of each tool that took part to its version.
        parents: The provenance of the artifacts that this one was made from.
    """

    stage: str
    inputs: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    parents: tuple[Provenance, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return this provenance as JSON values."""
        return {
            "stage": self.stage,
            "inputs": dict(self.inputs),
            "options": dict(self.options),
            "tools": dict(self.tools),
            "parents": [parent.to_dict() for parent in self.parents],
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Provenance:
        """Return the provenance that `to_dict` wrote."""
        return cls(
            stage=value["stage"],
            inputs=dict(value["inputs"]),
            options=dict(value["options"]),
            tools=dict(value["tools"]),
            parents=tuple(cls.from_dict(parent) for parent in value["parents"]),
        )


@dataclass(frozen=True)
class FloatModel:
    """A `.tflite` with a fixed batch whose weights and activations are float32.

    Attributes:
        name: The model's name, used for the package.
        path: The `.tflite` file.
        sha256: Its SHA-256.
        provenance: Where it came from; its first input is the user's own file.
    """

    name: str
    path: Path
    sha256: str
    provenance: Provenance


@dataclass(frozen=True)
class QuantizedModel:
    """A `.tflite` at the precision that will be deployed. Float32 and float16 count as precisions too.

    Attributes:
        name: The model's name, used for the package.
        path: The `.tflite` file. It has been loaded and run once.
        sha256: Its SHA-256.
        precision: What was asked for; "as-is" for a file that came quantized already and "auto" for a search.
        kept_precision: Output tensor of each operator kept at another precision, to that precision.
        search: The path that `auto` took, one row a step, empty otherwise.
        provenance: Where it came from.
    """

    name: str
    path: Path
    sha256: str
    precision: Precision | str
    provenance: Provenance
    kept_precision: Mapping[str, str] = field(default_factory=dict)
    search: tuple[SearchStep, ...] = ()


@dataclass(frozen=True)
class SearchStep:
    """One step on the path of `auto`.

    Attributes:
        description: What was tried, in words, such as "int8" or "int8 with 3 layers in float32".
        precision: The precision of the bulk of the layers.
        kept: Output tensors kept at a higher precision.
        size_bytes: Size of the `.tflite`.
        metric: Value of the evaluation metric.
        drop: How far the metric fell against float, in the metric's own unit; negative is better than float.
        accepted: Whether the step stayed within the budget.
        drop_high: Upper end of the one-sided 95 % interval of the drop; None where the metric has none.
    """

    description: str
    precision: str
    kept: tuple[str, ...]
    size_bytes: int
    metric: float
    drop: float
    accepted: bool
    drop_high: float | None = None
