"""What `quantize` costs beside calling litert-quantizer directly: float `.tflite` to int8 on the same data.

    python benchmarks/quantize.py MODEL.tflite [--samples 100] [--repeats 7] [--scale 255]

Both sides run in child processes of their own, in turn, so that load on the machine hits both alike. Each
child times itself from its first import of the quantizer to the finished file; starting Python, NumPy and the
random samples are outside, and so is mending an old file that cannot be quantized directly. `quantize` reads
the model, calibrates (its cache is empty), quantizes and writes the file; running the result in its own
process (`check_runs`) is verification, timed apart.

"direct" is litert-quantizer as its documentation shows it: calibration by reading every tensor, here with one
thread, which is its fastest on small models. "direct, fast" is the same with its profiler-based calibration,
which is what edgepack uses. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

DIRECT = """
import json, sys, time
import numpy as np
model, data, out, fast = sys.argv[1:]
x = np.load(data)
start = time.perf_counter()
content = open(model, "rb").read()
from litert_quantizer import calibrator, quantizer, recipe
tool = quantizer.Quantizer(content, recipe.static_wi8_ai8())
from ai_edge_litert.interpreter import Interpreter
signatures = Interpreter(model_content=content).get_signature_list()
key, names = next(iter(signatures.items()))
modes = calibrator.CalibrationMode
mode = modes.CALIBRATION_PROFILER_BASED if fast == "fast" else modes.CALIBRATION_PRESERVE_ALL_TENSORS
samples = {key: [{names["inputs"][0]: x[i : i + 1]} for i in range(len(x))]}
ranges = tool.calibrate(samples, num_threads=1, mode=mode)
tool.quantize(ranges, enable_progress_report=False).export_model(out + "/direct.tflite", overwrite=True)
spent = time.perf_counter() - start
print(json.dumps({"seconds": spent, "tensorflow": "tensorflow" in sys.modules}))
"""

EDGEPACK = """
import json, sys, time
import numpy as np
model, data, out, _ = sys.argv[1:]
x = np.load(data)
start = time.perf_counter()
from pathlib import Path
from edgepack.converters.artifacts import FloatModel, Provenance, sha256_of
from edgepack.converters.data.dataset import Dataset
from edgepack.converters.quantize import convert
from edgepack.converters.quantize.recipe import Recipe
check = {"seconds": 0.0}
run = convert.check_runs
def timed(path):
    begin = time.perf_counter()
    run(path)
    check["seconds"] += time.perf_counter() - begin
convert.check_runs = timed
path = Path(model)
float_model = FloatModel(path.stem, path, sha256_of(path), Provenance("import", {}))
samples = Dataset((x,), None, (), Path(data), "0" * 64)
convert.quantize(float_model, Recipe("int8"), samples, Path(out))
spent = time.perf_counter() - start - check["seconds"]
print(json.dumps({"seconds": spent, "check": check["seconds"], "tensorflow": "tensorflow" in sys.modules}))
"""

SIDES = {"edgepack": (EDGEPACK, ""), "direct": (DIRECT, "tensors"), "direct, fast": (DIRECT, "fast")}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--scale", type=float, default=1.0, help="random inputs lie in 0..SCALE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = make_data(options.model, Path(folder), options.samples, options.scale)
        model = mend(options.model, Path(folder))
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in SIDES}
        for _ in range(options.repeats):
            for name, (code, mode) in SIDES.items():
                runs[name].append(run(code, model, data, mode))
    report(options.model, options.samples, runs)


def make_data(model: Path, folder: Path, samples: int, scale: float) -> Path:
    import numpy as np

    from edgepack.converters.runtime import LiteRtModel

    shape = LiteRtModel.open(model).inputs[0].shape[1:]
    path = folder / "data.npy"
    values = np.random.default_rng(0).random((samples, *shape), dtype=np.float32) * np.float32(scale)
    np.save(path, values)
    return path


def mend(model: Path, folder: Path) -> Path:
    """Return the model in the form that litert-quantizer takes; an old file cannot be quantized directly."""
    from edgepack.converters.tflite.writer import normalize

    path = folder / model.name
    path.write_bytes(normalize(model.read_bytes()))
    return path


def run(code: str, model: Path, data: Path, mode: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-c", code, str(model.resolve()), str(data), out, mode]
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    result: dict[str, float] = json.loads(answer.splitlines()[-1])
    return result


def report(model: Path, samples: int, runs: dict[str, list[dict[str, float]]]) -> None:
    print(f"{model.name}, {samples} samples, {len(runs['edgepack'])} interleaved repeats")
    for name, results in runs.items():
        seconds = [result["seconds"] for result in results]
        imported = "yes" if any(result["tensorflow"] for result in results) else "no"
        spread = f"{statistics.median(seconds):.3f} s ({min(seconds):.3f} to {max(seconds):.3f})"
        print(f"  {name:13} median {spread}  tensorflow imported: {imported}")
    check = statistics.median(result["check"] for result in runs["edgepack"])
    print(f"  edgepack's check_runs (verification, not in the ratio): median {check:.3f} s")
    for name in ("direct", "direct, fast"):
        pairs = zip(runs["edgepack"], runs[name], strict=True)
        ratios = sorted(own["seconds"] / other["seconds"] for own, other in pairs)
        print(
            f"  ratio to {name}: median {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


if __name__ == "__main__":
    main()
