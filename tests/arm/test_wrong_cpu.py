"""A board that miscomputes is refused: real Arm programs on a CPU whose emulation is wrong, silently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgepack.toolchain.errors import AgentError
from edgepack.toolchain.lab.commands import BUILD_PROGRAMS, require_programs
from edgepack.toolchain.lab.errors import MirrorError, MissingProgramError
from edgepack.toolchain.lab.rootfs import ARM64, build_rootfs
from tests.arm.board import Board, why_not
from tests.arm.outputs import device_outputs, golden_outputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.arm.conftest import Workplace

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def board(workplace: Workplace) -> Iterator[Board]:
    """A board, in the inventory as `pi`; as `broken-pi` the same board with a CPU that miscomputes."""
    if reason := why_not():
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEPACK_CACHE_DIR", workplace.environment["EDGEPACK_CACHE_DIR"])
        try:
            require_programs("This board", BUILD_PROGRAMS)
            root = build_rootfs(ARM64)
        except (MirrorError, MissingProgramError) as err:
            pytest.skip(f"{err.message} {err.remedy}")
    with Board.start(root, workplace.folder / "board") as running:
        workplace.add("pi", running, running.port, "rpi4")
        workplace.add("broken-pi", running, running.wrong_port, "rpi4")
        workplace.edgepack("devices", "trust", "pi")
        yield running


@pytest.fixture(scope="module")
def deployed(board: Board, workplace: Workplace, packages: dict[str, Path]) -> dict[str, Any]:
    """The package in float: with it comes the runtime, and its outputs are right on both CPUs."""
    return workplace.deploy(packages["float32"], "pi")


def test_board_that_miscomputes_is_refused(
    deployed: dict[str, Any], board: Board, workplace: Workplace, packages: dict[str, Path]
) -> None:
    def wrong(argv: Sequence[str]) -> str:
        return board.ssh(argv, wrong=True)

    refused = workplace.edgepack("deploy", str(packages["int8"]), "--device", "broken-pi", status=None)
    if refused.status == 0:
        expected, tolerance = golden_outputs(packages["int8"])
        [package] = [each["package_id"] for each in refused.document["deployments"]]
        assert np.abs(device_outputs(wrong, package) - expected).max() <= tolerance
        pytest.skip("this version of QEMU computes right with QEMU_CPU=max: no board miscomputes")
    [failure] = refused.document["failures"]
    assert (failure["kind"], failure["exit_code"]) == ("AgentError", 9)
    assert "Golden case" in failure["message"] and "quantized steps" in failure["message"]
    assert refused.document["deployments"] == []
    assert workplace.current("pi") == deployed["package_id"]


def test_refused_package_is_not_kept(
    deployed: dict[str, Any], board: Board, workplace: Workplace, packages: dict[str, Path]
) -> None:
    with pytest.raises(AgentError) as caught:
        workplace.deploy_in_process(packages["int8"], "broken-pi")
    assert caught.value.code == "golden_mismatch"
    assert board.ssh(["ls", "/root/.edgepack/store"]).split() == [deployed["package_id"]]
