"""Read Fashion-MNIST from the Debian package `dataset-fashion-mnist`, without a download at run time.

The package holds the original files in IDX format, gzipped: a big-endian header of one magic word
(two zero bytes, the type 0x08 for uint8, the number of dimensions), one 32-bit size a dimension, then
the values in row-major order. Source: "THE IDX FILE FORMAT", http://yann.lecun.com/exdb/mnist/.

Place in the flow: `train.py` makes the model and the example's data from it, `accuracy.py` measures on it.
"""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Literal

import numpy as np

DEFAULT_FOLDER = Path("/usr/share/datasets/fashion-mnist")

# The ten classes in the order of their numbers. Source: README of zalandoresearch/fashion-mnist, "Labels".
LABELS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

_FILE_PREFIX = {"train": "train", "test": "t10k"}


def load(folder: Path, part: Literal["train", "test"]) -> tuple[np.ndarray, np.ndarray]:
    """Return the images and labels of one part of the data set.

    Args:
        folder: Where the four `*-ubyte.gz` files lie.
        part: `train` (60,000 images) or `test` (10,000 images).

    Returns:
        Images, float32 [n, 28, 28, 1] in 0..1, and labels, int64 [n] in 0..9.

    Raises:
        SystemExit: A file is missing; the text says how to get it.
        ValueError: A file is not what its name says.
    """
    prefix = _FILE_PREFIX[part]
    images = _read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")
    labels = _read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz")
    if images.shape != (len(labels), 28, 28):
        msg = f"{folder}: {prefix} images have shape {images.shape}, expected ({len(labels)}, 28, 28)"
        raise ValueError(msg)
    return images[..., np.newaxis].astype(np.float32) / np.float32(255), labels.astype(np.int64)


def _read_idx(path: Path) -> np.ndarray:
    if not path.is_file():
        msg = (
            f"{path} is missing.\n"
            "Install the data set (apt-get install dataset-fashion-mnist), or name its folder: --data DIR."
        )
        raise SystemExit(msg)
    raw = gzip.decompress(path.read_bytes())
    zeros, dtype, dimensions = struct.unpack_from(">HBB", raw)
    if zeros != 0 or dtype != 0x08:
        msg = f"{path}: not an IDX file of uint8 (it starts with {raw[:4].hex()}, expected 000008..)"
        raise ValueError(msg)
    shape = struct.unpack_from(f">{dimensions}I", raw, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
