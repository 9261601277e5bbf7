from __future__ import annotations

import hashlib
import shutil

import pytest

from edgepack.toolchain.packaging.manifest import (
    FileEntry,
    GoldenCase,
    GoldenTolerance,
    Manifest,
    RuntimeRequirement,
    TensorSpec,
)

FILES = {
    "model.tflite": b"TFL3" + bytes(range(256)) * 10,
    "golden/00/input-00.bin": b"\x01\x02\x03\x04",
    "golden/00/output-00.bin": b"\x05\x06",
}


def make_manifest(files: dict[str, bytes]) -> Manifest:
    tensor = TensorSpec(name="t", shape=[1, 4], dtype="int8", layout=None, scale=0.5, zero_point=0)
    return Manifest(
        name="fashion",
        target="rpi",
        precision="int8",
        model="model.tflite",
        inputs=[tensor],
        outputs=[tensor],
        runtime=RuntimeRequirement(kind="litert", min_version="2.0"),
        files=[
            FileEntry(path=path, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
            for path, content in files.items()
        ],
        labels=None,
        preprocessing=None,
        golden=[GoldenCase(inputs=["golden/00/input-00.bin"], outputs=["golden/00/output-00.bin"])],
        golden_tolerance=GoldenTolerance(
            max_error=1.0, unit="quantized_steps", min_top1_agreement=None, reason="test"
        ),
        evaluation=None,
        quality=None,
        provenance={},
    )


@pytest.fixture
def files() -> dict[str, bytes]:
    return dict(FILES)


@pytest.fixture
def manifest(files) -> Manifest:
    return make_manifest(files)


@pytest.fixture(scope="session")
def ssh_keygen() -> str:
    program = shutil.which("ssh-keygen")
    if program is None:
        pytest.skip("ssh-keygen is not installed")
    return program
