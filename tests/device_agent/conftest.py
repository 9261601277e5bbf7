"""The real agent as a child process, and small real packages, signed with throw-away keys."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgepack.toolchain.deploy.agent_bundle import agent_bundle
from edgepack.toolchain.packaging.manifest import (
    Evaluation,
    FileEntry,
    GoldenCase,
    GoldenTolerance,
    Manifest,
    RuntimeRequirement,
    TensorSpec,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OWNER = "tester@host"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="session")
def agent_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent as it is shipped: one zip."""
    bundle = agent_bundle()
    path = tmp_path_factory.mktemp("agent") / bundle.filename
    path.write_bytes(bundle.data)
    return path


class AgentError(Exception):
    """The agent's answer of type error."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__(f"{answer['code']}: {answer['message']}")
        self.code = answer["code"]
        self.answer = answer


class Agent:
    """A conversation with a running agent."""

    def __init__(self, command: list[str], log: Path, **options: Any) -> None:
        self._log = log.open("ab")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, **options
        )
        self.hello = self.read()
        self._id = 0
        self.progress: list[dict[str, Any]] = []

    def read(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        assert line, "the agent closed its stdout"
        return json.loads(line)

    def send(self, kind: str, /, raw: bytes = b"", **fields: Any) -> int:
        self._id += 1
        request = {"id": self._id, "type": kind, **fields}
        self.process.stdin.write(json.dumps(request).encode() + b"\n" + raw)
        self.process.stdin.flush()
        return self._id

    def answer(self) -> dict[str, Any]:
        while (message := self.read())["type"] == "progress":
            self.progress.append(message)
        assert message["id"] in (self._id, None)
        if message["type"] == "error":
            raise AgentError(message)
        return message

    def ask(self, kind: str, /, raw: bytes = b"", **fields: Any) -> dict[str, Any]:
        self.send(kind, raw, **fields)
        return self.answer()

    def put(self, *contents: bytes) -> None:
        blobs = [{"sha256": sha256(data), "size_bytes": len(data), "offset_bytes": 0} for data in contents]
        self.ask("blobs.put", b"".join(contents), blobs=blobs)

    def upload(self, package: BuiltPackage) -> None:
        self.put(*package.files.values(), package.manifest, package.signature)

    def install(self, package: BuiltPackage, runtime: str = "system") -> dict[str, Any]:
        return self.ask("install", **self.install_fields(package, runtime))

    @staticmethod
    def install_fields(package: BuiltPackage, runtime: str = "system") -> dict[str, str]:
        return {
            "manifest": sha256(package.manifest),
            "signature": sha256(package.signature),
            "runtime": runtime,
            "owner": OWNER,
        }

    def fetch(self, job_id: str) -> dict[str, Any]:
        answer = self.ask("jobs.fetch", job_id=job_id)
        data = self.process.stdout.read(answer["size_bytes"])
        assert sha256(data) == answer["sha256"]
        return json.loads(data)

    def close(self) -> int:
        self.process.stdin.close()
        status = self.process.wait(30)
        self.process.stdout.close()
        self._log.close()
        return status

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self._log):
            with contextlib.suppress(BrokenPipeError):
                stream.close()


@pytest.fixture(scope="session")
def blank_device(agent_file: Path, key: Key, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work directory that trusts the key and has seen the system's runtime: saves each test the time."""
    folder = tmp_path_factory.mktemp("blank")
    command = [sys.executable, "-I", "-S", str(agent_file), "serve", "--work-dir", str(folder / "device")]
    agent = Agent(command, folder / "agent.log")
    agent.ask("trust.set", allowed_signers=key.allowed_signers)
    assert agent.ask("probe")["facts"]["system_runtime"], "the tests' interpreter has no ai-edge-litert"
    assert agent.close() == 0
    return folder / "device"


@pytest.fixture
def work_dir(tmp_path: Path, blank_device: Path) -> Path:
    return shutil.copytree(blank_device, tmp_path / "device", symlinks=True)


@pytest.fixture
def start_agent(agent_file: Path, work_dir: Path, tmp_path: Path) -> Iterator[Callable[..., Agent]]:
    """Start agents on one work directory; whatever still runs is ended."""
    started: list[Agent] = []

    def start(python: str = sys.executable, work: Path = work_dir, **options: Any) -> Agent:
        command = [python, "-I", "-S", str(agent_file), "serve", "--work-dir", str(work)]
        agent = Agent(command, tmp_path / "agent.log", **options)
        started.append(agent)
        return agent

    yield start
    for agent in started:
        agent.kill()


@pytest.fixture
def agent(start_agent: Callable[..., Agent]) -> Agent:
    return start_agent()


# Keys and packages


@dataclass(frozen=True)
class Key:
    """A throw-away signing key."""

    path: Path

    @property
    def allowed_signers(self) -> str:
        public = self.path.with_suffix(".pub").read_text().split()
        return f'tester namespaces="edgepack" {public[0]} {public[1]}\n'

    def sign(self, data: bytes, namespace: str = "edgepack") -> bytes:
        command = ["ssh-keygen", "-Y", "sign", "-q", "-f", str(self.path), "-n", namespace]
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def make_key(folder: Path, name: str) -> Key:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is missing (openssh-client)")
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)], check=True)
    return Key(path)


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return make_key(tmp_path_factory.mktemp("keys"), "trusted")


@pytest.fixture(scope="session")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return make_key(tmp_path_factory.mktemp("keys"), "other")


def write_package(package: BuiltPackage, folder: Path) -> Path:
    """Lay a package out as the agent's store does."""
    for name, data in {**package.files, "manifest.json": package.manifest}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


@dataclass
class BuiltPackage:
    """A package's contents, ready to be sent."""

    files: dict[str, bytes]
    manifest: bytes
    signature: bytes
    value: dict[str, Any] = field(repr=False, default_factory=dict)

    @property
    def package_id(self) -> str:
        return sha256(self.manifest)


def dense_model(weights: np.ndarray, bias: np.ndarray, batch: int = 1) -> bytes:
    """One FULLY_CONNECTED: float32 [batch, n] -> float32 [batch, m]; weights float32 [m, n]."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    out_size, in_size = weights.shape
    tensors = []
    shapes = [
        ("x", [batch, in_size]),
        ("w", [out_size, in_size]),
        ("b", [out_size]),
        ("y", [batch, out_size]),
    ]
    for index, (name, shape) in enumerate(shapes):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, shape, schema.TensorType.FLOAT32
        tensor.buffer = index if name in "wb" else 0
        tensors.append(tensor)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0, 1, 2], [3]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [0], [3], [operator]
    buffers = [schema.BufferT() for _ in range(3)]
    buffers[1].data = np.frombuffer(weights.astype("<f4").tobytes(), np.uint8)
    buffers[2].data = np.frombuffer(bias.astype("<f4").tobytes(), np.uint8)
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], buffers
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def run_model(model: bytes, inputs: np.ndarray) -> np.ndarray:
    """The host's answer, with the runtime that the host has; inputs [count, batch, n]."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    outputs = []
    for row in inputs:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], row)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    return np.stack(outputs)


def make_contents() -> dict[str, bytes]:
    """The files of a small classifier, 8 -> 4, with 3 golden cases and 20 evaluation samples."""
    rng = np.random.default_rng(7)
    model = dense_model(rng.normal(size=(4, 8)), rng.normal(size=4))
    golden = rng.normal(size=(3, 1, 8)).astype("<f4")
    samples = rng.normal(size=(20, 1, 8)).astype("<f4")
    files = {"model.tflite": model, "eval/x.bin": samples.tobytes(), "labels.txt": b"a\nb\nc\nd\n"}
    files["eval/labels.bin"] = run_model(model, samples).argmax(axis=2).astype("<i8").tobytes()
    for index, (x, y) in enumerate(zip(golden, run_model(model, golden), strict=True)):
        files[f"golden/{index}.in.bin"] = x.tobytes()
        files[f"golden/{index}.out.bin"] = y.astype("<f4").tobytes()
    return files


def build_package(
    files: dict[str, bytes],
    signer: Key,
    *,
    entries: list[Any] | None = None,
    provenance: dict[str, Any] | None = None,
    **changes: Any,
) -> BuiltPackage:
    """Build a signed package; `entries` and `changes` replace keys of its manifest, right or wrong."""
    case = [GoldenCase(inputs=[f"golden/{i}.in.bin"], outputs=[f"golden/{i}.out.bin"]) for i in range(3)]
    manifest = Manifest(
        name=changes.get("name", "dense"),
        target="linux-x86_64",
        precision="float32",
        model="model.tflite",
        inputs=[TensorSpec(name="x", shape=[1, 8], dtype="float32", layout="NC")],
        outputs=[TensorSpec(name="y", shape=[1, 4], dtype="float32", layout="NC")],
        runtime=RuntimeRequirement(kind="litert", min_version="2.0"),
        files=[FileEntry(path=p, size_bytes=len(d), sha256=sha256(d)) for p, d in sorted(files.items())],
        labels="labels.txt",
        preprocessing=None,
        golden=case,
        golden_tolerance=GoldenTolerance(
            max_error=1e-4, unit="absolute", min_top1_agreement=1.0, reason="float32"
        ),
        evaluation=Evaluation(inputs=["eval/x.bin"], labels="eval/labels.bin", count=20, metric="top1"),
        quality=None,
        provenance=provenance or {},
    )
    if entries is not None:
        changes["files"] = entries
    value = {**manifest.model_dump(mode="json"), **changes}
    data = (json.dumps(value, sort_keys=True, indent=1) + "\n").encode()
    return BuiltPackage(files, data, signer.sign(data), value)


@pytest.fixture(scope="session")
def contents() -> dict[str, bytes]:
    return make_contents()


@pytest.fixture(scope="session")
def build(key: Key, contents: dict[str, bytes]) -> Callable[..., BuiltPackage]:
    """Build packages: with more files, or as `build_package` does."""

    def build(files: dict[str, bytes] | None = None, *, signer: Key = key, **changes: Any) -> BuiltPackage:
        return build_package({**contents, **(files or {})}, signer, **changes)

    return build


@pytest.fixture(scope="session")
def package(build: Callable[..., BuiltPackage]) -> BuiltPackage:
    return build()


@pytest.fixture
def device(agent: Agent, package: BuiltPackage) -> Agent:
    """An agent whose device has the package installed."""
    agent.upload(package)
    agent.install(package)
    return agent


# Runtimes


def make_wheel(path: Path, files: dict[str, str | bytes]) -> bytes:
    """Write a wheel of the given files and return its bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
    return path.read_bytes()


def runtime_wheel(folder: Path, interpreter: str) -> bytes:
    """A wheel of a `tflite_runtime` whose `interpreter.py` is given; NumPy comes from the system."""
    files = {
        "tflite_runtime/__init__.py": "",
        "tflite_runtime/interpreter.py": interpreter,
        "tflite_runtime-2.14.0.dist-info/METADATA": "Name: tflite-runtime\nVersion: 2.14.0\n",
        "tflite_runtime-2.14.0.data/platlib/tflite_runtime/extra.py": "",
        "tflite_runtime-2.14.0.data/scripts/tool": "#!python",
    }
    return make_wheel(folder / "w.whl", files)


WHEEL_NAME = "tflite_runtime-2.14.0-py3-none-any.whl"


def install_runtime(agent: Agent, wheel: bytes, name: str = WHEEL_NAME) -> dict[str, Any]:
    agent.put(wheel)
    runtime_id = sha256(f"{name} {sha256(wheel)}\n".encode())
    wheels = [{"filename": name, "sha256": sha256(wheel)}]
    return agent.ask(
        "runtime.install", runtime_id=runtime_id, kind="tflite-runtime", wheels=wheels, owner=OWNER
    )


def tree(folder: Path) -> dict[str, str]:
    """Every path below a folder, with what it is: for "nothing has changed"."""
    found = {}
    for path in sorted(folder.rglob("*")):
        relative = str(path.relative_to(folder))
        if path.is_symlink():
            found[relative] = f"-> {path.readlink()}"
        elif path.is_file():
            found[relative] = sha256(path.read_bytes())
    return found
