"""Train the example's model and write everything that the example commits beside this script.

    python examples/fashion/train.py            # 10 to 13 minutes on two cores

Writes `fashion.keras`, `calibration.npz`, `evaluation.npz` and `labels.txt`. Rules:
    * Fixed seeds and deterministic kernels: the same machine and versions give the same weights.
    * The test images are looked at once, after training; choices are made on the validation images.
    * Calibration images come from the training set, evaluation images from the test set.

Needs `pip install "edgepack[tensorflow]"` and `apt-get install dataset-fashion-mnist`.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from fashion_mnist import DEFAULT_FOLDER, LABELS, load

if TYPE_CHECKING:
    import keras

FOLDER = Path(__file__).resolve().parent
SEED = 20
BATCH_SIZE = 128
PEAK_LEARNING_RATE = 4e-3
VALIDATION_IMAGES = 5_000
CALIBRATION_PER_CLASS = 20
EVALUATION_PER_CLASS = 50

# Pointwise width and stride of each depthwise-separable block.
BLOCKS = ((24, 2), (32, 1), (64, 2), (64, 1))
STEM_CHANNELS = 16


def build_model() -> keras.Model:
    """Return an untrained DS-CNN: float32 [n, 28, 28, 1] in 0..1 to softmax [n, 10].

    Every convolution is followed by batch normalization and ReLU6, which the converter folds into one
    operator; ReLU6 bounds the activations, so that 8 bits cover them well. BatchNorm momentum is 0.9:
    with so few steps the default of 0.99 leaves the moving statistics behind.

    Source: the depthwise-separable block of MobileNet, https://arxiv.org/abs/1704.04861, section 3.1.
    """
    from keras import Input, Model, layers

    def activate(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
        return layers.ReLU(max_value=6.0, name=f"{name}_relu")(x)

    image = Input((28, 28, 1), name="image")
    x = layers.Conv2D(STEM_CHANNELS, 3, padding="same", use_bias=False, name="stem")(image)
    x = activate(x, "stem")
    for number, (channels, stride) in enumerate(BLOCKS, start=1):
        depthwise, pointwise = f"block{number}_depthwise", f"block{number}_pointwise"
        x = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False, name=depthwise)(x)
        x = activate(x, depthwise)
        x = layers.Conv2D(channels, 1, use_bias=False, name=pointwise)(x)
        x = activate(x, pointwise)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    probability = layers.Dense(len(LABELS), activation="softmax", name="probability")(x)
    return Model(image, probability, name="fashion")


def train(model: keras.Model, x: np.ndarray, y: np.ndarray, epochs: int) -> None:
    """Fit `model` in place, holding back the last `VALIDATION_IMAGES` for the validation accuracy."""
    import keras

    validation = (x[-VALIDATION_IMAGES:], y[-VALIDATION_IMAGES:])
    x, y = x[:-VALIDATION_IMAGES], y[:-VALIDATION_IMAGES]
    steps = epochs * -(-len(x) // BATCH_SIZE)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=PEAK_LEARNING_RATE / 10,
        warmup_target=PEAK_LEARNING_RATE,
        warmup_steps=steps // 20,
        decay_steps=steps - steps // 20,
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(schedule, weight_decay=1e-3),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,  # XLA makes these steps slower on a CPU
    )
    model.fit(x, y, batch_size=BATCH_SIZE, epochs=epochs, validation_data=validation, verbose=2)


def balanced_sample(y: np.ndarray, per_class: int) -> np.ndarray:
    """Return the sorted indices of `per_class` random entries of each class, the same at every call."""
    random = np.random.default_rng(SEED)
    classes = [np.flatnonzero(y == label) for label in range(len(LABELS))]
    picked = [random.choice(members, per_class, replace=False) for members in classes]
    return np.sort(np.concatenate(picked))


def save_samples(path: Path, x: np.ndarray, y: np.ndarray, per_class: int) -> None:
    """Write a class-balanced sample as `x` float32 [n, 28, 28, 1] and `y` int64 [n].

    The bytes are reproducible: numpy stamps every entry with the zip epoch, not with the time of writing.
    """
    index = balanced_sample(y, per_class)
    np.savez_compressed(path, x=x[index], y=y[index])


def trained_model(x: np.ndarray, y: np.ndarray, epochs: int) -> keras.Model:
    """Return a model trained on `x` and `y`, from a fixed seed.

    It was never compiled, so saving it writes the weights without the optimizer's state.
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    model = build_model()
    model.summary()
    train(model, x, y, epochs)
    trained = build_model()
    trained.set_weights(model.get_weights())
    return trained


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the Fashion-MNIST example and write its files.")
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER, metavar="DIR", help="the IDX files")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help="where to write")
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()
    x, y = load(arguments.data, "train")
    x_test, y_test = load(arguments.data, "test")

    arguments.out.mkdir(parents=True, exist_ok=True)
    save_samples(arguments.out / "calibration.npz", x, y, CALIBRATION_PER_CLASS)
    save_samples(arguments.out / "evaluation.npz", x_test, y_test, EVALUATION_PER_CLASS)
    (arguments.out / "labels.txt").write_text("\n".join(LABELS) + "\n", encoding="utf-8")

    model = trained_model(x, y, arguments.epochs)
    model.save(arguments.out / "fashion.keras")
    correct = model.predict(x_test, batch_size=500, verbose=0).argmax(axis=1) == y_test
    print(f"test accuracy: {correct.mean():.2%} of {len(y_test):,} images")


if __name__ == "__main__":
    main()
