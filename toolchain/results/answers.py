"""Which samples of the evaluation set the device had right: what a paired test of two runs needs.

Rules:
    * Kept only for a metric that counts right answers. One bit a sample.
    * Two runs answered the same questions where the labels are the same in the same order; the inputs are not
      asked, since each precision packs them quantized in its own way.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, StringConstraints, model_validator

from edgepack.toolchain.deploy.facts import Checked
from edgepack.toolchain.results.job_record import Sha256

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_SAMPLES = 1_000_000


class Answers(Checked):
    """The answers of one run.

    Attributes:
        labels_sha256: SHA-256 of the packed labels.
        count: Number of samples.
        right: One bit a sample, the first in the highest bit of the first byte; base64.
    """

    labels_sha256: Sha256
    count: Annotated[int, Field(ge=1, le=MAX_SAMPLES)]
    right: Annotated[str, StringConstraints(max_length=MAX_SAMPLES // 6 + 8)]

    @model_validator(mode="after")
    def _check_bits(self) -> Answers:
        try:
            found_bytes = len(base64.b64decode(self.right, validate=True))
        except (binascii.Error, ValueError) as err:
            message = "right is not base64"
            raise ValueError(message) from err
        if found_bytes != -(-self.count // 8):
            message = f"right has {found_bytes} bytes for {self.count} samples"
            raise ValueError(message)
        return self

    def array(self) -> NDArray[np.bool_]:
        """Return whether each sample was right, bool [count]."""
        import numpy as np

        packed = np.frombuffer(base64.b64decode(self.right), np.uint8)
        return np.unpackbits(packed, count=self.count).astype(bool)


def answers_of(right: NDArray[np.bool_], labels_sha256: str) -> Answers | None:
    """Return the answers to keep; None where there are too many samples.

    Args:
        right: Whether each sample was right, bool [count].
        labels_sha256: SHA-256 of the packed labels.
    """
    import numpy as np

    if not 0 < right.size <= MAX_SAMPLES:
        return None
    text = base64.b64encode(np.packbits(right).tobytes()).decode()
    return Answers(labels_sha256=labels_sha256, count=right.size, right=text)
