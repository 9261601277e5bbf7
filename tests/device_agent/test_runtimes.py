"""Runtimes from wheels: unpacked without pip, loaded before they count."""

from __future__ import annotations

import stat
import zipfile
from typing import TYPE_CHECKING

import pytest

from edgepack.device_agent.errors import AgentError as Refused
from edgepack.device_agent.runners.probe_model import PROBE_MODEL
from edgepack.device_agent.wheel import unpack_wheel
from tests.device_agent.conftest import (
    WHEEL_NAME,
    AgentError,
    install_runtime,
    make_wheel,
    runtime_wheel,
    sha256,
    tree,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.device_agent.conftest import Agent, BuiltPackage

WORKING = "from ai_edge_litert.interpreter import Interpreter\n"


def test_a_wheel_becomes_a_runtime(
    agent: Agent, build: Callable[..., BuiltPackage], work_dir: Path, tmp_path: Path
) -> None:
    wheel = runtime_wheel(tmp_path, WORKING)
    answer = install_runtime(agent, wheel)
    assert (answer["kind"], answer["version"]) == ("tflite-runtime", "2.14.0")
    assert answer["numpy"] == agent.ask("probe")["facts"]["system_numpy"]
    (listed,) = agent.ask("runtime.list")["runtimes"]
    assert listed == {key: answer[key] for key in ("runtime_id", "kind", "version", "numpy")}
    site = work_dir / "runtimes" / answer["runtime_id"] / "site"
    assert (site / "tflite_runtime" / "extra.py").is_file(), ".data/platlib belongs to site-packages"
    assert not list(site.rglob("tool")), "scripts do not"
    assert not (work_dir / "blobs" / sha256(wheel)).exists(), "the wheel itself is not kept"
    package = build(runtime={"kind": "tflite-runtime", "min_version": "2.5"})
    agent.upload(package)
    assert agent.install(package, answer["runtime_id"])["golden"]["cases"] == 3
    (installed,) = agent.ask("installed")["packages"]
    assert installed["runtime"] == answer["runtime_id"]
    again = agent.ask(
        "runtime.install",
        runtime_id=answer["runtime_id"],
        kind="tflite-runtime",
        wheels=[{"filename": WHEEL_NAME, "sha256": sha256(wheel)}],
    )
    assert again["version"] == "2.14.0", "what is there needs no wheel"


@pytest.mark.parametrize(
    ("source", "code", "word"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "runtime_broken", "SIGSEGV"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n", "runtime_broken", "SIGILL"),
        ("raise ImportError('version `GLIBC_2.34` not found')\n", "runtime_broken", "GLIBC_2.34"),
        ("import os\nos._exit(3)\n", "runtime_broken", "ended with 3"),
        ("import not_there_at_all\n", "runtime_missing", "not_there_at_all"),
        (
            "def Interpreter(**_):\n    raise SystemError('returned a result with an exception set')\n",
            "runtime_broken",
            "NumPy",
        ),
    ],
)
def test_a_runtime_that_does_not_load_is_not_installed(
    agent: Agent, work_dir: Path, tmp_path: Path, source: str, code: str, word: str
) -> None:
    with pytest.raises(AgentError) as caught:
        install_runtime(agent, runtime_wheel(tmp_path, source))
    assert caught.value.code == code
    assert word in caught.value.answer["message"]
    assert tree(work_dir / "runtimes") == {}
    assert agent.ask("runtime.list")["runtimes"] == []


def test_wheels_that_are_not_what_they_are_said_to_be(agent: Agent, work_dir: Path, tmp_path: Path) -> None:
    wheel = runtime_wheel(tmp_path, WORKING)
    entry = {"filename": WHEEL_NAME, "sha256": sha256(wheel)}
    right = sha256(f"{WHEEL_NAME} {sha256(wheel)}\n".encode())
    for fields, code in [
        ({"runtime_id": "0" * 64, "kind": "tflite-runtime", "wheels": [entry]}, "bad_request"),
        ({"runtime_id": right, "kind": "torch", "wheels": [entry]}, "bad_request"),
        (
            {"runtime_id": right, "kind": "tflite-runtime", "wheels": [{**entry, "filename": "../x.whl"}]},
            "bad_request",
        ),
        ({"runtime_id": right, "kind": "tflite-runtime", "wheels": [entry]}, "missing_blob"),
    ]:
        with pytest.raises(AgentError) as caught:
            agent.ask("runtime.install", **fields)
        assert caught.value.code == code
    agent.put(wheel)
    (work_dir / "blobs" / sha256(wheel)).write_bytes(wheel[:-1] + b"!")
    with pytest.raises(AgentError, match="hash_mismatch"):
        agent.ask("runtime.install", runtime_id=right, kind="tflite-runtime", wheels=[entry])
    assert tree(work_dir / "runtimes") == {}


@pytest.mark.parametrize(
    "name",
    ["../evil.py", "/tmp/evil.py", "a/../../evil.py", "a\\..\\evil.py", "x.data/purelib/../../../evil.py"],
)
def test_a_wheel_cannot_write_outside(tmp_path: Path, name: str) -> None:
    make_wheel(tmp_path / "w.whl", {"fine.py": "", name: "evil"})
    site = tmp_path / "in" / "site"
    site.mkdir(parents=True)
    with pytest.raises(Refused, match="not allowed"):
        unpack_wheel(tmp_path / "w.whl", site, name="w.whl", max_bytes=1 << 20)
    assert tree(tmp_path / "in") == {}, "nothing is written before all is checked"


def test_a_wheel_cannot_hold_links_or_devices(tmp_path: Path) -> None:
    for kind in (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO):
        info = zipfile.ZipInfo("link")
        info.create_system = 3
        info.external_attr = (kind | 0o777) << 16
        with zipfile.ZipFile(tmp_path / "w.whl", "w") as wheel:
            wheel.writestr(info, "/etc/passwd")
        with pytest.raises(Refused, match="not allowed"):
            unpack_wheel(tmp_path / "w.whl", tmp_path, name="w.whl", max_bytes=1 << 20)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    make_wheel(tmp_path / "w.whl", {"zeros": b"\0" * (8 << 20)})
    assert (tmp_path / "w.whl").stat().st_size < 20_000
    with pytest.raises(Refused, match="unpacks to more"):
        unpack_wheel(tmp_path / "w.whl", tmp_path, name="w.whl", max_bytes=1 << 20)
    assert not (tmp_path / "zeros").exists()


def test_a_bomb_that_lies_about_its_size(tmp_path: Path) -> None:
    data = bytearray(make_wheel(tmp_path / "w.whl", {"zeros": b"\0" * (8 << 20)}))
    lie = (1000).to_bytes(4, "little")
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.find(signature) + offset
        data[at : at + 4] = lie
    (tmp_path / "w.whl").write_bytes(data)
    site = tmp_path / "site"
    with pytest.raises(Refused, match="not a sound wheel"):
        unpack_wheel(
            tmp_path / "w.whl", site, name="w.whl", max_bytes=1 << 20
        ) if site.mkdir() is None else None
    assert sum(path.stat().st_size for path in site.rglob("*")) <= 1000


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x05\x06" + b"\0" * 10])
def test_what_is_no_zip(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "w.whl").write_bytes(data)
    with pytest.raises(Refused, match="not a sound wheel"):
        unpack_wheel(tmp_path / "w.whl", tmp_path, name="w.whl", max_bytes=1 << 20)


def test_a_flipped_bit_in_a_wheel(tmp_path: Path) -> None:
    data = bytearray(make_wheel(tmp_path / "w.whl", {"a.py": "x = 1\n" * 1000}))
    data[60] ^= 1
    (tmp_path / "w.whl").write_bytes(data)
    with pytest.raises(Refused, match="not a sound wheel"):
        unpack_wheel(tmp_path / "w.whl", tmp_path, name="w.whl", max_bytes=1 << 20)


def test_the_probe_model_is_what_it_says() -> None:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(PROBE_MODEL, 0))
    (graph,) = model.subgraphs
    (operator,) = graph.operators
    assert model.operatorCodes[operator.opcodeIndex].builtinCode == schema.BuiltinOperator.ADD
    assert list(operator.inputs) == [0, 0]
    assert [list(tensor.shape) for tensor in graph.tensors] == [[2], [2]]
    assert len(PROBE_MODEL) < 400
