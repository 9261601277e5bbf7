"""What an importer is asked to do, and what it answers.

An importer is a function `(ImportJob) -> ImportedTools` that writes `job.output`, a float `.tflite` with the
batch that was asked for, or raises an `EdgepackError`. Its framework is imported in a child process only
(`converters/isolation.py`), so that edgepack itself stays light and a crash is an error.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Layout = Literal["nhwc", "as-is"]
"""Layout of 4-D inputs and outputs of a PyTorch model: "nhwc" moves the channels last, as every other format
and LiteRT's kernels have them; "as-is" keeps NCHW at the cost of a TRANSPOSE. Other formats ignore it."""

ImportedTools = Mapping[str, str]
"""Name of each tool that took part in an import to its version."""

CONVERSION_TIMEOUT_S = 3600.0
"""A conversion that takes longer hangs: the largest models that edgepack is for take minutes."""


@dataclass(frozen=True)
class ImportJob:
    """One import.

    Attributes:
        source: The file or folder, or `module:function` as the user wrote it.
        output: The `.tflite` to write.
        batch: Size of the first dimension of every input.
        layout: See `Layout`.
    """

    source: str
    output: Path
    batch: int
    layout: Layout = "nhwc"

    @property
    def path(self) -> Path:
        """The source as a path."""
        return Path(self.source)


def versions_of(*distributions: str) -> dict[str, str]:
    """Return the version of each distribution that is installed; the others are left out."""
    versions = {}
    for name in distributions:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
