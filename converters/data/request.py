"""What a loader is asked for, and how it refuses.

Rules:
    * Every loader is a function `read(request: Request) -> RawData`.
    * A data file is hostile until checked: its size is bounded before it is read into memory, and nothing
      is followed out of the folder that was named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from edgepack.converters.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.converters.data.dataset import InputSpec, Preprocessing, Role

MAX_BYTES = 4 << 30  # decoded samples live in memory; more is a mistake or a bomb


@dataclass(frozen=True)
class Request:
    """One source to read.

    Attributes:
        source: What the user wrote, used in messages.
        path: The file or folder; for a hook, the project folder.
        role: What the data is for.
        inputs: What the model takes.
        preprocessing: How the values will be scaled; loaders read only its layout and sample rate.
        class_names: Names of the classes in label order, where the project states them.
        max_bytes: Most bytes that decoded samples may take.
    """

    source: str
    path: Path
    role: Role
    inputs: tuple[InputSpec, ...]
    preprocessing: Preprocessing
    class_names: tuple[str, ...] = ()
    max_bytes: int = MAX_BYTES

    def refuse(self, what: str, *, remedy: str = "", cause: Exception | None = None) -> NoReturn:
        """Say `what` is wrong with this source.

        Raises:
            DataError: Always, from `cause` where there is one.
        """
        other = f"Correct it, or name another {self.role} source under [data] in edgepack.toml."
        msg = f"{self.source}: {what}"
        raise DataError(msg, remedy=remedy or other) from cause

    def single_input(self, kind: str) -> InputSpec:
        """Return the model's only input.

        Raises:
            DataError: The model has several, which this kind of source cannot feed.
        """
        if len(self.inputs) != 1:
            names = ", ".join(f"'{spec.name}'" for spec in self.inputs)
            self.refuse(
                f"{kind} can feed one input, but the model has {len(self.inputs)}: {names}.",
                remedy="Use an .npz with one array an input, named as the inputs are.",
            )
        return self.inputs[0]

    def check_size(self, size_bytes: int, what: str) -> None:
        """Refuse samples that would take more than `max_bytes`.

        Raises:
            DataError: They would.
        """
        if size_bytes > self.max_bytes:
            self.refuse(
                f"{what} would take {size_bytes:,} bytes in memory; the limit is {self.max_bytes:,}.",
                remedy="Use fewer samples: 100 to 500 representative ones are enough.",
            )

    def check_inside(self, file: Path) -> None:
        """Refuse a link that leads out of the folder.

        Raises:
            DataError: `file` does not lie in `path` once links are followed.
        """
        if not file.resolve().is_relative_to(self.path.resolve()):
            self.refuse(
                f"{file.relative_to(self.path)} is a link that leads out of the folder.",
                remedy="Copy the file into the folder, or remove the link.",
            )
