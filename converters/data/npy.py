"""`.npy`: one array of samples `[n, ...]`, without labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgepack.converters.data.dataset import RawData

if TYPE_CHECKING:
    from edgepack.converters.data.request import Request


def read(request: Request) -> RawData:
    """Read the array, which feeds the model's only input.

    Raises:
        DataError: The file is too large, holds Python objects, or is no `.npy`.
    """
    request.single_input("An .npy")
    request.check_size(request.path.stat().st_size, "the array")
    try:
        # Mapping first makes NumPy check the header's shape against the size of the file.
        array = np.array(np.load(request.path, mmap_mode="r", allow_pickle=False))
    except (ValueError, OSError, EOFError) as err:
        request.refuse(f"this is no readable .npy ({err}).", cause=err)
    return RawData(inputs=(array,))
