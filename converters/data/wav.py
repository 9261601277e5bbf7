"""A folder of wav files: PCM of 8, 16, 24 or 32 bits, cropped or padded with silence to the input's length.

Samples are read as -1..1, several channels are averaged to one, and the start of a clip is what is kept. All
clips must share one sample rate: edgepack does not resample. A model that takes spectral features is fed by a
hook (`module:function`), because only the project knows how they were computed.
"""

from __future__ import annotations

import math
import wave
from typing import TYPE_CHECKING

import numpy as np

from edgepack.converters.data.class_folders import list_classes
from edgepack.converters.data.dataset import RawData

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from edgepack.converters.data.request import Request

SUFFIXES = frozenset({".wav", ".wave"})


def read(request: Request) -> RawData:
    """Read all clips into one float32 array, values in -1..1.

    Raises:
        DataError: A clip is damaged or no PCM, the sample rates differ, or the model takes no raw audio.
    """
    spec = request.single_input("A folder of wav files")
    length = max(spec.sample_shape, default=0)
    if length < 2 or math.prod(spec.sample_shape) != length:
        request.refuse(
            f"the model's input {list(spec.shape)} is no raw audio: one long dimension is expected.",
            remedy='Compute the features in Python and name the function: representative = "features:load".',
        )
    listing = list_classes(request, SUFFIXES)
    request.check_size(len(listing.files) * length * 4, "the clips")
    clips = np.zeros((len(listing.files), length), dtype=np.float32)
    rate_hz = request.preprocessing.sample_rate_hz
    for index, file in enumerate(listing.files):
        found_hz, clip = _decode(request, file, length)
        rate_hz = rate_hz or found_hz
        if found_hz != rate_hz:
            request.refuse(
                f"{file.relative_to(request.path)} is sampled at {found_hz} Hz, expected {rate_hz} Hz.",
                remedy=f"Resample it: sox IN.wav -r {rate_hz} OUT.wav",
            )
        clips[index, : len(clip)] = clip
    return RawData(
        inputs=(clips.reshape(len(clips), *spec.sample_shape),),
        labels=None if listing.labels is None else np.array(listing.labels),
        class_names=listing.class_names,
        origins=tuple(file.relative_to(request.path).as_posix() for file in listing.files),
    )


def _decode(request: Request, file: Path, length: int) -> tuple[int, NDArray[np.float32]]:
    """Return the sample rate in hertz and the first `length` samples, float32 in -1..1."""
    name = file.relative_to(request.path).as_posix()
    try:
        with wave.open(str(file), "rb") as clip:
            channels, width, rate_hz = clip.getnchannels(), clip.getsampwidth(), clip.getframerate()
            frames = clip.readframes(length)
    except (wave.Error, EOFError, OSError) as err:
        request.refuse(f"{name} is no readable PCM wav ({str(err) or 'it is cut off'}).", cause=err)
    if width not in (1, 2, 3, 4):
        request.refuse(f"{name} has {8 * width} bits a sample; 8, 16, 24 and 32 are read.")
    frames = frames[: len(frames) // (width * channels) * (width * channels)]
    if not frames:
        request.refuse(f"{name} holds no sample.")
    return rate_hz, _to_float(frames, width).reshape(-1, channels).mean(axis=1, dtype=np.float32)


def _to_float(frames: bytes, width: int) -> NDArray[np.float32]:
    """Return little-endian PCM as float32 in -1..1; 8-bit PCM is unsigned, wider PCM is signed.

    Source: Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0", PCM format.
    """
    if width == 1:
        eight: NDArray[np.uint8] = np.frombuffer(frames, dtype=np.uint8)
        return ((eight.astype(np.float32) - 128) / 128).astype(np.float32)
    padded = np.zeros((len(frames) // width, 4), dtype=np.uint8)
    padded[:, 4 - width :] = np.frombuffer(frames, dtype=np.uint8).reshape(-1, width)
    whole: NDArray[np.int32] = padded.view("<i4")[:, 0]
    values: NDArray[np.float32] = (whole / 2**31).astype(np.float32)
    return values
