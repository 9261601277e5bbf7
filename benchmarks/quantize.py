"""What `quantize` costs beside calling litert-quantizer directly: float `.tflite` to int8 on the same data.

    python -m benchmarks quantize [MODEL.tflite] [--samples 100] [--repeats 9] [--scale 255]

Both sides run in child processes of their own, in turn, so that load on the machine hits both alike. Each
child times itself from its first import of the quantizer to the finished file; starting Python, NumPy and the
random samples are outside, and so is mending an old file that cannot be quantized directly. `quantize` reads
the model, calibrates (its cache is empty), quantizes and writes the file; running the result in its own
process (`check_runs`) is verification, timed apart.

"direct" is litert-quantizer as its documentation shows it: calibration by reading every tensor, here with one
thread, which is its fastest on small models. "direct, fast" is the same with its profiler-based calibration,
which is what edgepack uses. Without a MODEL: the MLPerf Tiny image classifier and anomaly detector, from
`../shared/models`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.timing import begin, end, interleave, leave_out, ratio, show, spread, with_byte_code

DIRECT = """
import json, sys, time
import numpy as np
model, data, out, fast = sys.argv[1:]
x = np.load(data)
start, cpu = time.perf_counter(), time.process_time()
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
spent, cpu = time.perf_counter() - start, time.process_time() - cpu
print(json.dumps({"seconds": spent, "cpu": cpu, "tensorflow": "tensorflow" in sys.modules}))
"""

EDGEPACK = """
import json, sys, time
import numpy as np
model, data, out, _ = sys.argv[1:]
x = np.load(data)
start, cpu = time.perf_counter(), time.process_time()
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
spent, cpu = time.perf_counter() - start - check["seconds"], time.process_time() - cpu
tensorflow = "tensorflow" in sys.modules
print(json.dumps({"seconds": spent, "cpu": cpu, "check": check["seconds"], "tensorflow": tensorflow}))
"""

SIDES = {"edgepack": (EDGEPACK, ""), "direct": (DIRECT, "tensors"), "direct, fast": (DIRECT, "fast")}
BAR = "at most 1.3"
MODELS = Path(__file__).resolve().parents[2] / "shared" / "models"
DEFAULT = {"pretrainedResnet.tflite": 255.0, "ad01_fp32.tflite": 1.0}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--scale", type=float, default=1.0, help="random inputs lie in 0..SCALE")
    options = parser.parse_args(arguments)
    models = {MODELS / name: scale for name, scale in DEFAULT.items() if (MODELS / name).is_file()}
    if options.model:
        models = {options.model: options.scale}
    if not models:
        leave_out(f"no model was named, and {MODELS} does not exist")
    for model, scale in models.items():
        compare(model, scale, options)


def compare(path: Path, scale: float, options: argparse.Namespace) -> None:
    begin(f"{path.name} to int8, {options.samples} samples: edgepack against litert-quantizer")
    with tempfile.TemporaryDirectory() as folder:
        data = make_data(path, Path(folder), options.samples, scale)
        model = mend(path, Path(folder))
        sides = {name: partial(run, code, model, data, mode) for name, (code, mode) in SIDES.items()}
        report(interleave(sides, options.repeats))
    end()


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
        variables = {**os.environ, **with_byte_code()}
        answer = subprocess.run(command, capture_output=True, text=True, check=True, env=variables).stdout
    result: dict[str, float] = json.loads(answer.splitlines()[-1])
    return result


def report(runs: dict[str, list[dict[str, float]]]) -> None:
    for name, results in runs.items():
        show(f"{name}, wall", spread([each["seconds"] for each in results]), unit="s")
        show(f"{name}, CPU", spread([each["cpu"] for each in results]), unit="s")
        print(f"  {name}: TensorFlow imported: {any(each['tensorflow'] for each in results)}")
    own = runs["edgepack"]
    show(
        "edgepack's check_runs (verification, not in the ratio)", spread([e["check"] for e in own]), unit="s"
    )
    for name in ("direct", "direct, fast"):
        for key, what in (("seconds", "wall"), ("cpu", "CPU")):
            figure = ratio([each[key] for each in own], [each[key] for each in runs[name]])
            show(f"ratio of {what} time to {name}", figure, bar=BAR)


if __name__ == "__main__":
    main()
