"""edgepack: build, sign, deploy and measure a trained model on the device it is meant for.

The public API is loaded on first use, so that `import edgepack` costs nothing:

    import edgepack
    package = edgepack.build("model.tflite", target="rpi")
    deployment = edgepack.deploy(package, device="pi4")
    record = edgepack.bench(deployment)
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "bench": "edgepack.toolchain.api",
    "build": "edgepack.toolchain.api",
    "deploy": "edgepack.toolchain.api",
    "run": "edgepack.toolchain.api",
    "EdgepackError": "edgepack.targets.errors",
}

__all__ = ["EdgepackError", "__version__", "bench", "build", "deploy", "run"]  # noqa: F822 - lazy, see __getattr__


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type is that of the public object
    """Load a public name on first use."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    message = f"module 'edgepack' has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted(__all__)
