"""`[devices.NAME.power]` of lab.toml: the power meter of a device.

    [devices.pi4.power]
    sensor = "ina226"            # a name of `edgepack devices check`, or a driver such as "ppk2"
    at = "device"                # or "host", the machine that edgepack runs on, or the name of a gateway
    bus = 1
    shunt_ohm = 0.01             # all further keys are settings of the sensor

What the settings mean is the sensor's business: the agent checks them.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

Setting = bool | int | float | str | list[str]
_OWN_KEYS = ("sensor", "at")


class DevicePower(BaseModel):
    """The power meter of a device.

    Attributes:
        sensor: Its name.
        at: What it is cabled to: "device", "host" (this machine), or the name of another device of lab.toml.
        settings: The sensor's own settings. They can hold passwords (of a plug), so they are never shown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    sensor: str = Field(min_length=1, max_length=128)
    at: str = Field(default="device", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    settings: dict[str, Setting] = Field(default_factory=dict, max_length=64, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _gather_settings(cls, value: Any) -> Any:  # noqa: ANN401 - whatever TOML holds
        """Gather all keys but the known ones as settings."""
        if not isinstance(value, dict) or "settings" in value:
            return value
        own = {key: item for key, item in value.items() if key in _OWN_KEYS}
        return {**own, "settings": {key: item for key, item in value.items() if key not in _OWN_KEYS}}
