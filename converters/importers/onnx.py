"""Import an ONNX model with onnx2tf, in a tool environment of its own.

onnx2tf moves the channels last, so a 4-D NCHW input becomes NHWC in the `.tflite`. Only its float32 file is
used: its float16 and quantized files do not run in LiteRT. The result is compared with onnxruntime.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.converters.importers.job import CONVERSION_TIMEOUT_S, versions_of
from edgepack.converters.importers.tool_environment import tool_python
from edgepack.converters.isolation import run_program

if TYPE_CHECKING:
    from edgepack.converters.importers.job import ImportedTools, ImportJob

# The set that was tested together on Python 3.12: onnx2tf leaves most of these free.
REQUIREMENTS = (
    "onnx2tf==2.6.9",
    "ai-edge-litert==2.1.2",
    "backports-strenum==1.3.1",
    "flatbuffers==25.12.19",
    "h5py==3.14.0",
    "ml-dtypes==0.5.4",
    "numpy==2.2.6",
    "onnx==1.20.1",
    "onnx-ir==1.1.0",
    "onnxoptimizer==0.4.2",
    "onnxruntime==1.26.0",
    "onnxscript==0.6.2",
    "onnxsim==0.6.5",
    "opencv-python==4.13.0.92",
    "protobuf==7.35.1",
    "psutil==5.9.5",
    "setuptools==81.0.0",
    "sne4onnx==2.0.1",
    "sng4onnx==2.0.1",
)
_PINNED = dict(requirement.split("==") for requirement in REQUIREMENTS)
_WORKER = Path(__file__).with_name("onnx_worker.py")


def import_onnx(job: ImportJob) -> ImportedTools:
    """Convert an `.onnx` file; the environment for it is made on first use.

    Raises:
        ConversionError: The file is damaged or has free dimensions, onnx2tf or its environment failed, or the
            result does not agree with the original.
    """
    python = tool_python("onnx2tf", REQUIREMENTS)
    run_program(
        [str(python), "-I", str(_WORKER)],
        {"source": str(job.path.resolve()), "output": str(job.output.resolve()), "batch": job.batch},
        what=f"Converting '{job.source}'",
        timeout_s=CONVERSION_TIMEOUT_S,
        # onnx2tf starts `onnxsim` by its bare name
        environment={"PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}"},
    )
    return {**versions_of("edgepack"), "onnx2tf": _PINNED["onnx2tf"], "onnx": _PINNED["onnx"]}
