"""A folder of images: decoded, turned upright, made gray or RGB, and resized to the input's shape.

Pixels are read as 0..255 and scaled by 1/255 unless the project states another scale.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.converters.data.class_folders import list_classes
from edgepack.converters.data.dataset import RawData
from edgepack.converters.errors import MissingExtraError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from edgepack.converters.data.request import Request

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def read(request: Request) -> RawData:
    """Read all images into one uint8 array in the layout of the model's input.

    Raises:
        MissingExtraError: Pillow is not installed.
        DataError: An image is damaged or a bomb, or the model takes no image.
    """
    height, width, channels = _image_shape(request)
    listing = list_classes(request, SUFFIXES)
    request.check_size(len(listing.files) * height * width * channels * 4, "the images")
    pixels = np.empty((len(listing.files), height, width, channels), dtype=np.uint8)
    for index, file in enumerate(listing.files):
        pixels[index] = _decode(request, file, (height, width, channels))
    if request.preprocessing.layout == "NCHW":
        pixels = pixels.transpose(0, 3, 1, 2)
    sample_shape = request.inputs[0].sample_shape
    return RawData(
        inputs=(pixels.reshape(len(listing.files), *sample_shape),),
        labels=None if listing.labels is None else np.array(listing.labels),
        class_names=listing.class_names,
        default_scale=1 / 255,
        origins=tuple(file.relative_to(request.path).as_posix() for file in listing.files),
    )


def _image_shape(request: Request) -> tuple[int, int, int]:
    """Return height, width and channels of the model's only input."""
    shape = request.single_input("A folder of images").sample_shape
    if len(shape) == 2:
        shape = (*shape, 1)
    elif len(shape) == 3 and request.preprocessing.layout == "NCHW":
        shape = (*shape[1:], shape[0])
    if len(shape) != 3 or shape[2] not in _MODES or math.prod(shape) <= 0:
        found = list(request.inputs[0].shape)
        request.refuse(
            f"the model's input {found} is no image with 1, 3 or 4 channels.",
            remedy='Set layout = "NCHW" under [data] if channels come first, or feed the model from an .npz.',
        )
    return shape[0], shape[1], shape[2]


def _decode(request: Request, file: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return one image, uint8 [height, width, channels]."""
    image_module, ops = _pillow()
    height, width, channels = shape
    name = file.relative_to(request.path).as_posix()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", image_module.DecompressionBombWarning)
            with image_module.open(file) as image:
                upright = ops.exif_transpose(image).convert(_MODES[channels])
    except (OSError, ValueError, SyntaxError, image_module.DecompressionBombError) as err:
        request.refuse(f"{name} cannot be read as an image ({err}).", cause=err)
    except image_module.DecompressionBombWarning as err:
        request.refuse(f"{name} is too large an image ({err}).", cause=err)
    if upright.size != (width, height):
        upright = upright.resize((width, height), image_module.Resampling.BILINEAR)
    return np.asarray(upright, dtype=np.uint8).reshape(shape)


def _pillow() -> tuple[Any, Any]:
    try:
        from PIL import Image, ImageOps
    except ImportError as err:
        what = "Reading a folder of images"
        raise MissingExtraError(what, extra="images") from err
    return Image, ImageOps
