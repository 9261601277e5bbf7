"""Measure the top-1 accuracy of each precision on the 10,000 test images of Fashion-MNIST.

    python examples/fashion/accuracy.py                          # build every precision, then measure
    python examples/fashion/accuracy.py --tflite a.tflite ...    # measure files that exist already
    python examples/fashion/accuracy.py --write                  # and put the table into the READMEs

Rules:
    * Every model runs in LiteRT, one image at a time, as it will on the device.
    * An accuracy is shown with its 95 % Wilson interval: two models whose intervals overlap widely
      have not been shown to differ.

Needs edgepack, its TensorFlow extra for building, and `apt-get install dataset-fashion-mnist`.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fashion_mnist import DEFAULT_FOLDER, load

FOLDER = Path(__file__).resolve().parent
READMES = (FOLDER / "README.md", FOLDER.parent.parent / "README.md")
PRECISIONS = ("float32", "float16", "dynamic-int8", "int8", "int16x8", "int4", "auto")
BEGIN, END = "<!-- accuracy:begin -->", "<!-- accuracy:end -->"


@dataclass(frozen=True)
class Accuracy:
    """How often one model was right.

    Attributes:
        name: The precision, or the name of the file.
        size_bytes: Size of the `.tflite` file.
        correct: Images whose highest output was their label.
        total: Images that were classified.
    """

    name: str
    size_bytes: int
    correct: int
    total: int

    @property
    def top1(self) -> float:
        """Share of correct images, 0..1."""
        return self.correct / self.total


def wilson_interval(correct: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion; the default `z` gives 95 %.

    Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference",
    Journal of the American Statistical Association 22 (1927), pages 209-212.
    """
    share = correct / total
    scale = 1 + z * z / total
    center = (share + z * z / (2 * total)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return center - half, center + half


def classify(tflite: Path, x: np.ndarray) -> np.ndarray:
    """Return the class that a model gives to each image.

    Args:
        tflite: A model with one image input, batch 1, and one output of class scores.
        x: Images, float32 [n, 28, 28, 1] in 0..1; quantized here where the model's input is an integer.

    Returns:
        int64 [n], the index of the highest output.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(tflite), num_threads=1)
    interpreter.allocate_tensors()
    (entry,), (exit_,) = interpreter.get_input_details(), interpreter.get_output_details()
    x = quantize_input(x, entry)
    classes = np.empty(len(x), np.int64)
    for i in range(len(x)):
        interpreter.set_tensor(entry["index"], x[i : i + 1])
        interpreter.invoke()
        classes[i] = interpreter.get_tensor(exit_["index"]).argmax()
    return classes


def quantize_input(x: np.ndarray, entry: dict[str, Any]) -> np.ndarray:
    """Return `x` in the type of an interpreter's input: real = scale * (quantized - zero point)."""
    dtype = np.dtype(entry["dtype"])
    if dtype.kind == "f":
        return x.astype(dtype)
    scale, zero_point = entry["quantization"]
    limits = np.iinfo(dtype)
    quantized: np.ndarray = np.clip(np.rint(x / scale) + zero_point, limits.min, limits.max)
    return quantized.astype(dtype)


def evaluate(name: str, tflite: Path, x: np.ndarray, y: np.ndarray) -> Accuracy:
    """Return the accuracy of one `.tflite` file on images `x` [n, 28, 28, 1] with labels `y` [n]."""
    return Accuracy(name, tflite.stat().st_size, int((classify(tflite, x) == y).sum()), len(y))


def build_variants(folder: Path) -> dict[str, Path]:
    """Build the example at every precision and return the `.tflite` file of each, put into `folder`.

    The quality gate is off: a precision that loses too much belongs in the table.
    """
    import edgepack

    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    variants = {}
    for precision in PRECISIONS:
        built = edgepack.build(
            FOLDER / "fashion.keras",
            target="rpi",
            precision=precision,
            project=FOLDER / "edgepack.toml",
            key=key,
            output=folder,
            allow_quality_drop=True,
        )
        variants[precision] = folder / f"{precision}.tflite"
        with zipfile.ZipFile(built.package) as archive:
            (entry,) = (name for name in archive.namelist() if name.endswith(".tflite"))
            variants[precision].write_bytes(archive.read(entry))
    return variants


def table(rows: list[Accuracy]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        f"| precision | size | top-1 of {rows[0].total:,} | 95 % interval |",
        "| --- | ---: | ---: | ---: |",
    ]
    for row in rows:
        low, high = wilson_interval(row.correct, row.total)
        lines.append(f"| {row.name} | {row.size_bytes:,} B | {row.top1:.2%} | {low:.2%} to {high:.2%} |")
    return "\n".join(lines)


def write_table(readme: Path, text: str) -> None:
    """Replace what stands between the two accuracy markers of `readme`.

    Raises:
        SystemExit: The markers are not there, once each and in order.
    """
    before, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        msg = f"{readme}: found no {BEGIN} followed by {END}; put both lines back where the table belongs."
        raise SystemExit(msg)
    readme.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Top-1 accuracy on the 10,000 test images, by precision.")
    parser.add_argument(
        "--tflite", type=Path, nargs="+", default=[], metavar="FILE", help="measure these files"
    )
    parser.add_argument(
        "--data", type=Path, default=DEFAULT_FOLDER, metavar="DIR", help="folder of the IDX files"
    )
    parser.add_argument("--write", action="store_true", help="put the table into the READMEs")
    arguments = parser.parse_args()
    x, y = load(arguments.data, "test")
    with tempfile.TemporaryDirectory() as folder:
        variants = {path.name: path for path in arguments.tflite} or build_variants(Path(folder))
        rows = [evaluate(name, path, x, y) for name, path in variants.items()]
    print(table(rows))
    if arguments.write:
        for readme in READMES:
            write_table(readme, table(rows))


if __name__ == "__main__":
    main()
