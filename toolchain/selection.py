"""Which devices a call works on, and how it measures: what the caller says, else what the project says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.toolchain.project import load_project

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgepack.toolchain.deploy.inventory import Device, Lab
    from edgepack.toolchain.measure.job import Request
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
    or_all: bool = False,
) -> Fleet:
    """Return the devices that a caller means: those named, else the project's.

    With `or_all`, all devices of the inventory where neither names any.

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
        everything = or_all and not (names or groups)
    chosen = select(loaded, names=names, groups=groups, everything=everything)
    return Fleet(loaded, chosen, parallel=jobs or section.jobs)


def bench_settings(
    *,
    project: StrPath | None = None,
    store: str | None = None,
    request: Request | None = None,
    accuracy: bool = True,
    **given: Any,  # noqa: ANN401 - the fields of BenchSpec
) -> Bench:
    """Return how to measure: what is given, else what `[bench]` of the project says.

    Args:
        project: The project file; None to look for one.
        store: Path or URL of the result store; None for the project's.
        request: Tag, labels, and what to do where somebody else works on the device.
        accuracy: Whether accuracy is computed from what the device brought.
        **given: The fields of `BenchSpec`; None for what the project says.

    Raises:
        ProjectError: A value is wrong.
    """
    from edgepack.toolchain.config_file import validate
    from edgepack.toolchain.jobs import Home
    from edgepack.toolchain.measure.job import BenchSpec, Request
    from edgepack.toolchain.pipeline import Bench
    from edgepack.toolchain.project import QUICK_BENCH, BenchSection
    from edgepack.toolchain.results.store import default_location

    loaded = load_project(Path(project) if project else None)
    settings = loaded.settings
    values = settings.bench.model_dump(exclude_unset=True)
    values |= {key: value for key, value in given.items() if value is not None}
    if values.get("quick"):
        values = QUICK_BENCH | values
    section = validate(values, BenchSection, path=loaded.file or Path("[bench]"))
    location = store or settings.report.store or default_location(loaded.folder)
    home = Home(location, loaded.folder, settings.quality.metric, accuracy=accuracy)
    spec = BenchSpec(**section.model_dump() | {"quick": section.quick or section.is_short})
    return Bench(spec, home, request or Request())
