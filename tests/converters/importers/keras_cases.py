"""Makes Keras models, converts each in this one process, and writes what came out. Run by test_keras.py.

TensorFlow takes ten seconds to import, so all cases share one process.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import h5py
import keras
import numpy as np

from edgepack.converters.importers import keras as importer
from edgepack.converters.runtime import LiteRtModel
from edgepack.targets.errors import EdgepackError

L = keras.layers


def make(folder: Path) -> None:
    keras.utils.set_random_seed(1)
    zeta, alpha = keras.Input((4,), name="zeta"), keras.Input((4,), name="alpha")
    hidden = L.Dense(4)(zeta) - 2 * L.Dense(4)(alpha)
    keras.Model([zeta, alpha], [L.Dense(3)(hidden) for _ in range(12)]).save(folder / "many.keras")
    keras.Sequential([keras.Input((8,)), L.Dense(2, activation="softmax")]).save(folder / "sequential.keras")
    image = keras.Input((8, 8, 3))
    depthwise = L.DepthwiseConv2D(3, padding="same", name="dw")(image)
    pooled = L.GlobalAveragePooling2D()(L.ReLU()(L.BatchNormalization()(depthwise)))
    keras.Model(image, L.Dense(2)(pooled)).save(folder / "groups.h5")
    with h5py.File(folder / "groups.h5", "r+") as file:  # as Keras 2 wrote it
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "DepthwiseConv2D":
                layer["config"]["groups"] = 1
        file.attrs["model_config"] = json.dumps(config)
    with h5py.File(folder / "weights.h5", "w") as file:
        file["kernel"] = np.zeros(3)
    text = keras.Input((None, 5), name="sequence")
    keras.Model(text, L.GlobalAveragePooling1D()(text)).save(folder / "free.keras")
    evil = keras.Sequential([keras.Input((2,)), L.Lambda(lambda x: x + 1, name="evil")])
    evil.save(folder / "lambda.keras")
    evil.save(folder / "lambda.h5")
    keras.Sequential([keras.Input(batch_shape=(8, 2)), L.Dense(1)]).save(folder / "batch8.keras")


def convert(source: Path, output: Path, batch: int) -> dict[str, object]:
    try:
        importer.convert_in_this_process({"source": str(source), "output": str(output), "batch": batch})
    except EdgepackError as err:
        return {"message": err.message, "remedy": err.remedy}
    model, original = LiteRtModel.open(output), importer._load(source)
    inputs = [np.random.default_rng(5).standard_normal(d.shape).astype(np.float32) for d in model.inputs]
    expected = keras.tree.flatten(original(inputs if len(inputs) > 1 else inputs[0], training=False))
    found = model.run(inputs)
    differences = [float(abs(a - np.asarray(b)).max()) for a, b in zip(found, expected, strict=True)]
    scale = max(float(abs(np.asarray(b)).max()) for b in expected)
    return {
        "inputs": [[d.name, list(d.shape)] for d in model.inputs],
        "outputs": [d.name for d in model.outputs],
        "relative_difference": max(differences) / scale,
    }


if __name__ == "__main__":
    work, models = Path(sys.argv[1]), Path(sys.argv[2])
    make(work)
    cases = [
        (path, 3 if path.name == "many.keras" else 1) for path in [*work.glob("*.keras"), *work.glob("*.h5")]
    ]
    cases += [(models / name, 1) for name in ("ad01.h5", "pretrainedResnet.h5") if (models / name).exists()]
    answers = {path.name: convert(path, work / f"{path.name}.tflite", batch) for path, batch in cases}
    (work / "answers.json").write_text(json.dumps(answers))
