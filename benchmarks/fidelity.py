"""Whether the agent's p50 and p90 are those of LiteRT's own tool, `litert-benchmark`, on the same model.

    python -m benchmarks fidelity [MODEL.tflite …] [--repeats 20] [--seconds 1]

Each model is built as the user's would be, installed on the device `local`, and measured in turn by
`edgepack.bench` (the real agent, one thread, one window) and by `litert-benchmark` on the very file out of
the package, with as many inferences and as long a warm-up. The tool prints its figures rounded to 0.01 ms and
no p90: it is started by a few lines that write down the sorted samples which it computes its percentiles of.
Without a MODEL: MLPerf Tiny's image classifier, int8 and float, and keyword spotting, int8, from
`../shared/models`.

The two do not run the same loop: the agent times `Interpreter.invoke`, the tool `CompiledModel.run_by_name`
with input and output buffers of its own, on one random input. Shown is the agent's figure over the tool's,
repeat by repeat, and the same of the fastest inference, which a busy machine disturbs less.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.timing import begin, end, interleave, leave_out, python, ratio, run, show, spread

if TYPE_CHECKING:
    from collections.abc import Callable

BAR = "within 1 %"
TOOL = "ai_edge_litert.tools.benchmark_litert_model"
MODELS = Path(__file__).resolve().parents[2] / "shared" / "models"
DEFAULT = ("pretrainedResnet_quant.tflite", "pretrainedResnet.tflite", "kws_ref_model.tflite")
WARM_UP_S = 0.5  # the agent's default
# The tool's own `main`, with its percentile function noting the samples that it is given.
RECORDING = f"""
import json, sys
import {TOOL} as tool
percentile = tool.percentile
def noting(samples, p):
    with open(sys.argv[0], "w") as file:
        json.dump(samples, file)
    return percentile(samples, p)
tool.percentile = noting
sys.argv[0] = sys.argv.pop(1)
tool.main()
"""


@dataclass(frozen=True)
class Latency:
    """What measured, and three figures of the latency in milliseconds."""

    by: str
    min_ms: float
    p50_ms: float
    p90_ms: float


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=Path, nargs="*")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a timed window")
    options = parser.parse_args(arguments)
    models = options.models or [MODELS / name for name in DEFAULT if (MODELS / name).is_file()]
    if reason := missing(models):
        leave_out(reason)
    with tempfile.TemporaryDirectory() as folder:
        place(Path(folder))
        for model in models:
            compare(model, Path(folder), options)


def missing(models: list[Path]) -> str | None:
    """Return why this cannot run; None where it can."""
    if importlib.util.find_spec(TOOL.partition(".")[0]) is None or importlib.util.find_spec(TOOL) is None:
        return "litert-benchmark is not installed: pip install 'ai-edge-litert>=2.3'"
    return None if models else f"no model was named, and {MODELS} does not exist"


def place(folder: Path) -> None:
    """Keep everything of this benchmark, the key and the device's work folder too, inside `folder`."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)
    (folder / "edgepack.toml").touch()
    (folder / "lab.toml").touch()
    os.environ["EDGEPACK_KEY"] = str(folder / "key")
    os.environ["EDGEPACK_LAB"] = str(folder / "lab.toml")
    os.environ["EDGEPACK_STATE_DIR"] = str(folder / "state")


def compare(model: Path, folder: Path, options: argparse.Namespace) -> None:
    import edgepack
    from edgepack.toolchain.packaging.archive import open_package

    package = edgepack.build(model, target="linux-x86_64", precision="float32", project=folder).package
    edgepack.deploy(package)
    with open_package(package) as opened:
        content = folder / f"{model.stem}.tflite"
        content.write_bytes(opened.read(opened.manifest.model))
    agent = partial(by_agent, package, folder, options)
    first = agent()
    begin(f"{model.name}, 1 thread: the agent ({first.by}) against litert-benchmark")
    runs = max(50, round(options.seconds * 1000 / first.p50_ms))
    tool = partial(by_tool, content, folder, runs, first.p50_ms)
    sides: dict[str, Callable[[], Latency]] = {"agent": agent, "litert-benchmark": tool}
    results = interleave(sides, options.repeats)
    for name, found in results.items():
        show(f"{name}, p50", spread([each.p50_ms for each in found]), unit="ms")
    own, other = results["agent"], results["litert-benchmark"]
    show("ratio of p50", ratio([o.p50_ms for o in own], [o.p50_ms for o in other]), bar=BAR)
    show("ratio of p90", ratio([o.p90_ms for o in own], [o.p90_ms for o in other]), bar=BAR)
    show("ratio of minima", ratio([o.min_ms for o in own], [o.min_ms for o in other]), bar=BAR)
    fastest = min(o.min_ms for o in own) / min(o.min_ms for o in other)
    print(f"  ratio of the fastest inference of all repeats: {fastest:.3f}")
    end()


def by_agent(package: Path, folder: Path, options: argparse.Namespace) -> Latency:
    """Measure by the agent."""
    import edgepack

    record = edgepack.bench(
        package,
        project=folder,
        batches=(1,),
        threads=(1,),
        windows=1,
        warmup_min_seconds=WARM_UP_S,
        min_seconds=options.seconds,
        memory=False,
        evaluation=False,
        power="none",
    )
    values = [record.value("latency", aggregation) for aggregation in ("min", "p50", "p90")]
    known = [value / 1e6 for value in values if value is not None]
    assert len(known) == 3, record.configurations
    return Latency(f"{record.runtime.kind} {record.runtime.version}", *known)


def by_tool(model: Path, folder: Path, runs: int, latency_ms: float) -> Latency:
    """Measure by litert-benchmark."""
    noted = folder / "samples.json"
    words = ("--model", str(model), "--num_threads", "1", "--num_runs", str(runs))
    warm_up = max(1, round(WARM_UP_S * 1000 / latency_ms))
    run(python("-c", RECORDING, str(noted), *words, "--warmup_runs", str(warm_up)))
    samples_ms = json.loads(noted.read_text(encoding="utf-8"))
    deciles = statistics.quantiles(samples_ms, n=10, method="inclusive")
    return Latency(TOOL, samples_ms[0], deciles[4], deciles[8])


if __name__ == "__main__":
    main()
