from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from edgepack.toolchain.deploy.connection import MAX_OUTPUT_BYTES, Cancellation, run
from edgepack.toolchain.deploy.local import LocalConnection
from edgepack.toolchain.errors import DeployError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON = [sys.executable, "-I", "-S", "-c"]


@pytest.fixture
def connection() -> Iterator[LocalConnection]:
    connection = LocalConnection()
    yield connection
    connection.close()
    connection.close()


def test_run(connection: LocalConnection) -> None:
    code = "import sys; d = sys.stdin.read(3); sys.stderr.write('why'); print(d * 2); sys.exit(7)"
    done = run(connection, [*PYTHON, code], data=b"abc", timeout_s=10)
    assert (done.status, done.stdout, done.stderr) == (7, b"abcabc\n", "why")


def test_large_streams_do_not_block_each_other(connection: LocalConnection) -> None:
    code = "import sys; sys.stderr.write('x' * 5_000_000 + 'end'); sys.stdout.write('y' * 3_000_000)"
    done = run(connection, [*PYTHON, code], timeout_s=20)
    assert len(done.stdout) == 3_000_000
    assert done.stderr.endswith("end")
    assert len(done.stderr) < 20_000


def test_output_has_an_end(connection: LocalConnection) -> None:
    with pytest.raises(DeployError, match="wrote more than"):
        run(connection, [*PYTHON, f"print('y' * {MAX_OUTPUT_BYTES + 10})"], timeout_s=20)


def test_program_that_ends_before_it_reads(connection: LocalConnection) -> None:
    done = run(connection, [*PYTHON, "raise SystemExit('enough')"], data=b"x" * 5_000_000, timeout_s=20)
    assert (done.status, done.stderr.strip()) == (1, "enough")


def test_silence_is_noticed(connection: LocalConnection) -> None:
    with pytest.raises(NetworkError, match=r"silent for 0\.2 s"):
        run(connection, [*PYTHON, "import time; time.sleep(60)"], timeout_s=0.2)
    stream = connection.open_stream([*PYTHON, "import time; time.sleep(60)"])
    with pytest.raises(NetworkError, match="silent"):
        stream.send(b"x" * 5_000_000, timeout_s=0.2)
    with pytest.raises(NetworkError, match="silent"):
        stream.finish(timeout_s=0.2)


def test_killed_program_has_no_status(connection: LocalConnection) -> None:
    stream = connection.open_stream([*PYTHON, "import os; os.kill(os.getpid(), 9)"])
    assert stream.finish(timeout_s=10).status is None


def test_missing_program(connection: LocalConnection) -> None:
    with pytest.raises(DeployError, match="/none/python3' cannot be started") as caught:
        connection.open_stream(["/none/python3"])
    assert "'python'" in caught.value.remedy


def test_cancelling_wakes_a_waiting_thread() -> None:
    connection, cancellation = LocalConnection(), Cancellation()
    cancellation.add(connection)
    stream = connection.open_stream([*PYTHON, "import sys; sys.stdin.read()"])
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.append(stream.receive(1, timeout_s=60)))
    thread.start()
    started = time.monotonic()
    cancellation.cancel()
    thread.join(30)
    assert found == [b""]
    assert time.monotonic() - started < 10
    late = LocalConnection()
    late.open_stream([*PYTHON, "input()"])
    cancellation.add(late)  # closed at once
    assert cancellation.wait(0)
