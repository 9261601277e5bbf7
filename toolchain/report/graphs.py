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

    from edgepack.converters.graph import Graph
    from edgepack.toolchain.report.summary import BuildSummary
    from edgepack.toolchain.results.schema import RunRecord


def graphs_at_hand(records: Sequence[RunRecord], builds: Iterable[BuildSummary]) -> dict[str, Graph]:
    """Return the graphs of the runs that were profiled, by the SHA-256 of their model."""
    from edgepack.converters.tflite.reader import read_graph
    from edgepack.toolchain.packaging.archive import open_package

    wanted = {r.package.package_id: r.model.sha256 for r in records if isinstance(r.profile, Profile)}
    found: dict[str, Graph] = {}
    for build in builds:
        sha256 = wanted.get(build.package_id)
        if sha256 is None or sha256 in found or build.package is None:
            continue
        with suppress(PackageError, ConversionError), open_package(build.package) as package:
            found[sha256] = read_graph(package.read(package.manifest.model))
    return found
