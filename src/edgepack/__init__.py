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
    "bench": "edgepack.toolchain.api:bench",
    "build": "edgepack.toolchain.api:build",
    "collect": "edgepack.toolchain.api:collect",
    "compare": "edgepack.toolchain.comparing:compare_runs",
    "deploy": "edgepack.toolchain.api:deploy",
    "run": "edgepack.toolchain.api:run",
    "EdgepackError": "edgepack.targets.errors:EdgepackError",
}

__all__ = ["EdgepackError", "__version__", "bench", "build", "collect", "compare", "deploy", "run"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type is that of the public object
    """Load a public name on first use."""
    if name in _PUBLIC:
        module, _, attribute = _PUBLIC[name].partition(":")
        return getattr(import_module(module), attribute)
    message = f"module 'edgepack' has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted(__all__)
