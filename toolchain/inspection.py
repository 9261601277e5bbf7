"""What a model needs, and whether targets can run it: counted from the model, not measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.targets.registry import find_target
from edgepack.toolchain.planning import BuildOptions, StrPath, absolute_source, with_options
from edgepack.toolchain.progress import Report, silent
from edgepack.toolchain.project import Project, load_project, package_name
from edgepack.toolchain.stages import BuildRequest, import_stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.converters.graph import Graph
    from edgepack.toolchain.analyze.cost import ModelCost
    from edgepack.toolchain.analyze.energy_estimate import EnergyEstimate
    from edgepack.toolchain.analyze.fit import Fit


@dataclass(frozen=True)
class Inspection:
    """What a model needs, and whether targets can run it; counted, not measured.

    Attributes:
        graph: The model.
        precision: Such as "int8".
        cost: What it costs.
        fits: Whether each target can run it.
        energy: Estimate of an inference's energy; None where it was not asked for.
    """

    graph: Graph
    precision: str
    cost: ModelCost
    fits: tuple[Fit, ...]
    energy: EnergyEstimate | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return this inspection as JSON values."""
        cost = asdict(self.cost)
        for row, value in zip(cost["operators"], self.cost.operators, strict=True):
            row["arithmetic_intensity"] = value.arithmetic_intensity
        fits = [asdict(fit) | {"runs": fit.runs} for fit in self.fits]
        found = {"precision": self.precision, "cost": cost, "fits": fits}
        return found if self.energy is None else {**found, "energy_estimate": asdict(self.energy)}


def inspect(
    model: StrPath | None = None,
    *,
    targets: Sequence[str] = (),
    batch: int = 1,
    estimate_energy: bool = False,
    project: StrPath | None = None,
    report: Report = silent,
) -> Inspection:
    """Count what a model needs and hold it against targets.

    Args:
        model: File or folder; None for the project's model.
        targets: Names of targets to hold it against.
        batch: Batch size.
        estimate_energy: Whether to estimate the energy of an inference from the counts.
        project: The project file; None for the one here.
        report: Is told how far it is.

    Raises:
        ConversionError: The model cannot be imported.
        TargetError: A target is unknown.
    """
    from edgepack.converters.tflite.precision import precision_of
    from edgepack.converters.tflite.reader import read_graph
    from edgepack.toolchain.analyze import energy_estimate
    from edgepack.toolchain.analyze.cost import analyze
    from edgepack.toolchain.analyze.fit import fit

    found = [find_target(name) for name in targets]
    loaded = with_options(load_project(Path(project) if project else None), BuildOptions(batch=batch))
    source = absolute_source(loaded.model_source(str(model) if model else None))
    report("import", 0, 2)
    path = Path(source)
    if not (path.suffix == ".tflite" and batch == 1):
        path = _imported(source, loaded)
    report("count", 1, 2)
    graph = read_graph(path)
    cost = analyze(graph)
    fits = tuple(fit(graph, cost, target) for target in found)
    energy = energy_estimate.estimate_energy(graph, cost) if estimate_energy else None
    return Inspection(graph, precision_of(graph), cost, fits, energy)


def _imported(source: str, loaded: Project) -> Path:
    """Return the `.tflite` of a model of another kind."""
    request = BuildRequest(
        source=source,
        name=package_name(source),
        target=find_target("rpi"),
        precision="float32",
        settings=loaded.settings,
        folder=loaded.folder,
        key=Path(),
        output=Path(),
    )
    return import_stage(request).path
