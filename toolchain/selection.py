"""Which devices a call works on, and how it measures: what the caller says, else what the project says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.toolchain.project import load_project

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgepack.toolchain.deploy.inventory import Device, Lab
    from edgepack.toolchain.pipeline import Bench

StrPath = str | Path


@dataclass(frozen=True)
class Fleet:
    """The devices that a call works on.

    Attributes:
        lab: The inventory that they are part of.
        devices: The devices.
        parallel: How many of them work at a time.
    """

    lab: Lab
    devices: tuple[Device, ...]
    parallel: int = 16


def select_fleet(
    *,
    names: Iterable[str] = (),
    groups: Iterable[str] = (),
    everything: bool = False,
    lab: StrPath | None = None,
    jobs: int | None = None,
    project: StrPath | None = None,
) -> Fleet:
    """Return the devices that a caller means: those named, else the project's.

    Raises:
        ProjectError: The inventory is wrong, or a name or group is unknown.
    """
    from edgepack.toolchain.deploy.inventory import load_lab, select

    section = load_project(Path(project) if project else None).settings.deploy
    path = lab or section.lab
    loaded = load_lab(Path(path) if path else None)
    names, groups = tuple(names), tuple(groups)
    if not (names or groups or everything):
        names, groups = section.devices, section.groups
    chosen = select(loaded, names=names, groups=groups, everything=everything)
    return Fleet(loaded, chosen, parallel=jobs or section.jobs)


def bench_settings(
    *,
    project: StrPath | None = None,
    store: str | None = None,
    tag: str | None = None,
    **given: Any,  # noqa: ANN401 - the fields of BenchSpec
) -> Bench:
    """Return how to measure: what is given, else what `[bench]` of the project says.

    Raises:
        ProjectError: A value is wrong.
    """
    from edgepack.toolchain.config_file import validate
    from edgepack.toolchain.measure.job import BenchSpec
    from edgepack.toolchain.pipeline import Bench
    from edgepack.toolchain.project import BenchSection
    from edgepack.toolchain.results.store import default_location

    loaded = load_project(Path(project) if project else None)
    settings = loaded.settings
    values = settings.bench.model_dump() | {key: value for key, value in given.items() if value is not None}
    section = validate(values, BenchSection, path=loaded.file or Path("[bench]"))
    location = store or settings.report.store or default_location(loaded.folder)
    return Bench(BenchSpec(**section.model_dump()), location, loaded.folder, tag)
