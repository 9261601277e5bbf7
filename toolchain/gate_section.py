"""`[gate]` of `edgepack.toml`: the limits that `edgepack compare` holds a run against.

[gate]
max = { latency_p90 = "+5%", model_size = "+0B" }
min = { accuracy = "-0.5pp" }
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from edgepack.toolchain.config_file import Section
from edgepack.toolchain.errors import ProjectError
from edgepack.toolchain.results.gates import Gate, parse_gate

Limits = Annotated[dict[str, str], Field(max_length=64)]


class GateSection(Section):
    """`[gate]`: metric to limit; `max`: may not lie above, `min`: not below; `strict`: noise is no excuse."""

    max: Limits = Field(default_factory=dict)
    min: Limits = Field(default_factory=dict)
    strict: bool = False

    @field_validator("max", "min")
    @classmethod
    def _are_gates(cls, value: dict[str, str]) -> dict[str, str]:
        for metric, limit in value.items():
            try:
                parse_gate("max", f"{metric}={limit}")
            except ProjectError as err:
                message = f"{err.message} {err.remedy}"
                raise ValueError(message) from err
        return value

    def gates(self) -> tuple[Gate, ...]:
        """Return the limits as gates."""
        upper = [parse_gate("max", f"{key}={limit}", strict=self.strict) for key, limit in self.max.items()]
        lower = [parse_gate("min", f"{key}={limit}", strict=self.strict) for key, limit in self.min.items()]
        return (*upper, *lower)
