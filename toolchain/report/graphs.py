"""The graphs of the models that were measured, where their packages are at hand.

A record says how long operators took; only the model says what they compute. A package that is gone or
damaged costs a report its figures of work, never the report.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.toolchain.errors import PackageError
from edgepack.toolchain.results.profile_record import Profile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from edgepack.converters.graph import Graph
    from edgepack.toolchain.report.summary import BuildSummary
    from edgepack.toolchain.results.schema import RunRecord


def packages_of(builds: Iterable[BuildSummary]) -> list[Path]:
    """Return the packages of builds that are at hand."""
    return [build.package for build in builds if build.package is not None]


def graphs_at_hand(records: Sequence[RunRecord], packages: Iterable[Path]) -> dict[str, Graph]:
    """Return the graphs of the runs that were profiled, by the SHA-256 of their model."""
    from edgepack.converters.tflite.reader import read_graph
    from edgepack.toolchain.packaging.archive import open_package

    wanted = {r.package.package_id: r.model.sha256 for r in records if isinstance(r.profile, Profile)}
    found: dict[str, Graph] = {}
    if not wanted:
        return found
    for path in packages:
        with suppress(PackageError, ConversionError), open_package(path) as package:
            sha256 = wanted.get(package.package_id)
            if sha256 is not None and sha256 not in found:
                found[sha256] = read_graph(package.read(package.manifest.model))
    return found
