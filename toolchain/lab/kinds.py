"""The kinds of emulated devices: what each stands for, needs and costs."""

from __future__ import annotations

import os
from dataclasses import dataclass

from edgepack.targets.errors import nearest
from edgepack.toolchain.errors import LabError
from edgepack.toolchain.lab.commands import FLEET_PROGRAMS, MACHINE_PROGRAMS
from edgepack.toolchain.lab.rootfs import ARM64, ARMHF, Recipe


@dataclass(frozen=True)
class Kind:
    """A kind of emulated devices.

    Attributes:
        name: What the command line calls it; its devices are called `<name>-1` and so on.
        title: What it is.
        target: The target that its devices stand for; None where none fits.
        size: How many devices are meant where the user does not say.
        max_size: How many there can be.
        programs: What must be installed to run one.
        recipe: What a machine's disk holds; None for devices that run on this kernel.
        needs_root: Whether only root can run one.
        first_cost: What the first one costs.
        each_cost: What each one costs.
    """

    name: str
    title: str
    target: str | None
    size: int
    max_size: int
    programs: tuple[str, ...]
    recipe: Recipe | None
    needs_root: bool
    first_cost: str
    each_cost: str


def _host_target() -> str | None:
    return "linux-x86_64" if os.uname().machine == "x86_64" else None


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            name="rpi64",
            title="a whole machine that says it is a Raspberry Pi 4, with Debian 12 and a power sensor",
            target="rpi4",
            size=1,
            max_size=16,
            programs=MACHINE_PROGRAMS,
            recipe=ARM64,
            needs_root=False,
            first_cost="270 MB to download, 340 MB of disk, about a minute",
            each_cost="270 to 800 MB of memory, what it writes of disk, about 10 s to boot",
        ),
        Kind(
            name="rpi32",
            title="the same machine with 32-bit programs: Debian 12 armhf on a 64-bit kernel",
            target="rpi-armv7",
            size=1,
            max_size=16,
            programs=MACHINE_PROGRAMS,
            recipe=ARMHF,
            needs_root=False,
            first_cost="290 MB to download, 440 MB of disk, about a minute",
            each_cost="270 to 800 MB of memory, what it writes of disk, about 10 s to boot",
        ),
        Kind(
            name="fleet",
            title="light hosts on this kernel, each with its own address, SSH server and processes",
            target=_host_target(),
            size=20,
            max_size=250,
            programs=FLEET_PROGRAMS,
            recipe=None,
            needs_root=True,
            first_cost="nothing",
            each_cost="2 MB of memory, under 0.2 s to start",
        ),
    )
}


def find_kind(name: str) -> Kind:
    """Return the kind of a name.

    Raises:
        LabError: There is none.
    """
    if name in KINDS:
        return KINDS[name]
    message = f"There is no kind of emulated device called '{name}'.{nearest(name, KINDS)}"
    raise LabError(message, remedy=f"Kinds: {', '.join(KINDS)}.")
