"""How often a run is judged stable: on the machine as it is, and with a CPU hog beside it.

    python -m benchmarks stability [MODEL.tflite] [--repeats 20] [--seconds 1] [--hogs N]

The model is built as the user's would be, installed on the device `local`, and measured by `edgepack.bench`
in five windows, in turn without and with processes that do nothing but count, one a CPU unless `--hogs`
says otherwise. Shown is the share of stable runs, with Wilson's 95 % interval, and how often each reason was
given. What the machine did besides is in the load that is shown: a shared machine is not always idle.
Without a MODEL: the MLPerf Tiny image classifier, int8, from `../shared/models`.

Source of the interval: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference",
    Journal of the American Statistical Association 22 (1927), 209-212.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.fidelity import MODELS, place
from benchmarks.timing import begin, end, interleave, leave_out, python

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.toolchain.results.schema import RunRecord

DEFAULT = "pretrainedResnet_quant.tflite"
_Z = 1.96
_COUNTING = "while True: sum(range(10_000))"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, nargs="?", default=MODELS / DEFAULT)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a window")
    parser.add_argument("--hogs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    if not options.model.is_file():
        leave_out(f"{options.model} does not exist")
    with tempfile.TemporaryDirectory() as folder:
        place(Path(folder))
        compare(options, Path(folder))


def compare(options: argparse.Namespace, folder: Path) -> None:
    import edgepack

    package = edgepack.build(
        options.model, target="linux-x86_64", precision="float32", project=folder
    ).package
    edgepack.deploy(package)

    def measure() -> RunRecord:
        return edgepack.bench(
            package,
            project=folder,
            batches=(1,),
            threads=(1,),
            min_seconds=options.seconds,
            memory=False,
            evaluation=False,
            power="none",
        )

    def measure_beside_hogs() -> RunRecord:
        with hogs(options.hogs):
            return measure()

    begin(f"{options.model.name}, five windows of {options.seconds:g} s: the verdict")
    sides = {"machine as it is": measure, f"{options.hogs} CPU hogs beside it": measure_beside_hogs}
    for name, records in interleave(sides, options.repeats).items():
        verdicts = [record.verdict for record in records if record.verdict]
        stable = sum(verdict.status == "stable" for verdict in verdicts)
        print(f"  {name}: stable {share(stable, len(records))}")
        reasons = Counter(reason.code for r in records for v in r.verdicts for reason in v.reasons)
        for code, count in reasons.most_common():
            print(f"    {code} in {count} of {len(records)}")
    end()


def share(count: int, total: int) -> str:
    """Return "18 of 20, 90 % (95 % interval 70 to 97 %)"."""
    part, weight = count / total, _Z**2 / total
    middle = (part + weight / 2) / (1 + weight)
    half = _Z * math.sqrt(part * (1 - part) / total + weight / (4 * total)) / (1 + weight)
    return f"{count} of {total}, {part:.0%} (95 % interval {middle - half:.0%} to {middle + half:.0%})"


@contextlib.contextmanager
def hogs(count: int) -> Iterator[None]:
    """Keep that many CPUs busy."""
    processes = [subprocess.Popen(python("-c", _COUNTING)) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
