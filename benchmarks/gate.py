"""How often `edgepack compare` fails two runs of the same package, and how often it lets a slower one pass.

    python -m benchmarks gate [MODEL.tflite] [--pairs 100] [--windows 5] [--seconds 0.2]
                              [--slowdown 10] [--limit 5] [--keep FOLDER | --runs FOLDER]

The model is built as the user's would be, installed on the device `local`, and measured by `edgepack.bench`
again and again, each run in a process of its own. Every two runs are compared, once as they are (a gate that
fails is a false alarm), and once with every sample of the second run made slower: real measurements with an
exact slowdown. Shown are the rates with Wilson's 95 % interval, over all pairs, over those of quiet runs
(whose windows agree, or that were judged stable), and how the rates move with the slowdown. `--keep` writes
the runs, `--runs` judges kept ones again. Without a MODEL: the MLPerf Tiny image classifier, int8, from
`../shared/models`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.fidelity import MODELS, place
from benchmarks.stability import DEFAULT, share
from benchmarks.timing import begin, end, leave_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.results.gates import Gate
    from edgepack.toolchain.results.schema import RunRecord

METRICS = ("latency_p50", "latency_p90")
QUIET = 0.03
CURVE = (0.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, nargs="?", default=MODELS / DEFAULT)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=0.2, help="length of a window")
    parser.add_argument("--windows", type=int, default=5)
    parser.add_argument("--slowdown", type=float, default=10.0, help="per cent that must be found")
    parser.add_argument("--limit", type=float, default=5.0, help="per cent that the gate allows")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--keep", type=Path, help="write each run into this folder")
    kept.add_argument("--runs", type=Path, help="judge the runs in this folder; measure nothing")
    options = parser.parse_args(arguments)
    if options.runs:
        show(read(options.runs), options)
        return
    if not options.model.is_file():
        leave_out(f"{options.model} does not exist")
    with tempfile.TemporaryDirectory() as folder:
        place(Path(folder))
        windows = f"{options.windows} windows of {options.seconds:g} s"
        begin(f"{options.model.name}, {windows}: gates of +{options.limit:g} %")
        records = measure(options, Path(folder))
    show(records, options)
    end()


def measure(options: argparse.Namespace, folder: Path) -> list[RunRecord]:
    """Measure two runs a pair, one after the other."""
    import edgepack

    package = edgepack.build(
        options.model, target="linux-x86_64", precision="float32", project=folder
    ).package
    edgepack.deploy(package)
    records = []
    for number in range(2 * options.pairs):
        record = edgepack.bench(
            package,
            project=folder,
            batches=(1,),
            threads=(1,),
            quick=True,
            windows=options.windows,
            min_seconds=options.seconds,
            memory=False,
            evaluation=False,
            power="none",
        )
        records.append(record)
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            text = record.model_copy(update={"labels": {"load": f"{os.getloadavg()[0]:.2f}"}}).to_json()
            (options.keep / f"{number:04d}.json").write_text(text, encoding="utf-8")
    return records


def read(folder: Path) -> list[RunRecord]:
    """Return the kept runs in the order they were taken."""
    from edgepack.toolchain.results.schema import parse_run_record

    paths = sorted(folder.glob("*.json"))
    return [parse_run_record(path.read_bytes(), source=str(path)) for path in paths]


def show(records: Sequence[RunRecord], options: argparse.Namespace) -> None:
    """Print the rates over all pairs, and over those of quiet runs."""
    pairs = list(zip(records[::2], records[1::2], strict=False))
    groups = {
        "all pairs": pairs,
        f"pairs whose windows agree within {QUIET:.0%}": [p for p in pairs if max(map(unrest, p)) < QUIET],
        "pairs whose runs were both judged stable": [
            pair for pair in pairs if all(run.verdict and run.verdict.status == "stable" for run in pair)
        ],
    }
    for name, chosen in groups.items():
        print(f"  {name}: {len(chosen)}")
        for metric in METRICS if chosen else ():
            rates(chosen, metric, options)


def unrest(record: RunRecord) -> float:
    """Return by how much the windows of a run differ: standard deviation of their medians over the mean."""
    from edgepack.toolchain.results.job_record import ConfigurationSamples

    (found,) = record.configurations
    assert isinstance(found, ConfigurationSamples)
    medians = [statistics.median(window.samples_ns) for window in found.accepted]
    return statistics.pstdev(medians) / statistics.mean(medians)


def rates(pairs: Sequence[tuple[RunRecord, RunRecord]], metric: str, options: argparse.Namespace) -> None:
    from edgepack.toolchain.results.compare import compare
    from edgepack.toolchain.results.gates import parse_gate

    total = len(pairs)
    gate = parse_gate("max", f"{metric}=+{options.limit:g}%")
    strict = parse_gate("max", f"{metric}=+{options.limit:g}%", strict=True)
    slowed = [(base, slower(new, options.slowdown)) for base, new in pairs]
    print(f"    {gate.text}: false alarms {share(ends(pairs, gate)['failed'], total)}")
    found = ends(slowed, gate)
    print(f"      slowdown of {options.slowdown:g} %: found {share(found['failed'], total)}")
    print(f"        undecided, and said to be: {share(found['undecided'], total)}")
    print(f"      with --strict: false alarms {share(ends(pairs, strict)['failed'], total)}")
    print(f"        slowdown of {options.slowdown:g} % found {share(ends(slowed, strict)['failed'], total)}")
    said = 0
    for base, new in pairs:
        change = next(change for change in compare(base, new).changes if change.key == metric)
        said += change.finding in ("better", "worse")
    print(f"      without a gate, said to be better or worse though nothing changed: {share(said, total)}")
    curve = {by: ends([(b, slower(n, by)) for b, n in pairs], gate)["failed"] / total for by in CURVE}
    print(f"      fails by slowdown: {', '.join(f'{by:g} %: {rate:.0%}' for by, rate in curve.items())}")


def ends(pairs: Sequence[tuple[RunRecord, RunRecord]], gate: Gate) -> Counter[str]:
    """Return how often the gate ended how: "passed", "undecided" or "failed"."""
    from edgepack.toolchain.results.compare import compare

    results = [result for pair in pairs for _, result in compare(*pair, [gate]).gates]
    return Counter("undecided" if result.undecided else result.status for result in results)


def slower(record: RunRecord, percent: float) -> RunRecord:
    """Return a run whose every sample, and every figure made of them, is slower by so many per cent."""
    from edgepack.toolchain.results.schema import RunRecord

    factor = 1 + percent / 100
    value = record.model_dump(mode="json")
    for configuration in value["configurations"]:
        for window in configuration.get("windows", ()):
            window["samples_ns"] = [round(sample * factor) for sample in window["samples_ns"]]
    for metric in value["metrics"]:
        power = {"latency": 1, "throughput": -1}.get(metric["name"])
        for key in ("value", "low", "high"):
            if power is not None and metric.get(key) is not None:
                metric[key] *= factor**power
    return RunRecord.model_validate(value)


if __name__ == "__main__":
    main()
