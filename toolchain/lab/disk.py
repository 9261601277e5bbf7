"""The disk of an emulated machine: ext4, made of a root file system without mounting anything."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from edgepack.toolchain.lab.cache import cached, cached_folder
from edgepack.toolchain.lab.commands import run
from edgepack.toolchain.lab.rootfs import build_rootfs
from edgepack.toolchain.progress import silent

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.toolchain.lab.rootfs import Recipe
    from edgepack.toolchain.progress import Report

SIZE_MIB = 3072
_OPTIONS = ("-F", "-q", "-t", "ext4", "-L", "rootfs", "-m", "0", "-O", "^metadata_csum_seed")
_NO_LAZY = (
    "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0"  # else each device writes them at first boot
)


def _name(recipe: Recipe) -> str:
    return f"disk-{recipe.architecture}"


def _reads(recipe: Recipe) -> list[str]:
    return [*recipe.reads, *_OPTIONS, _NO_LAZY, str(SIZE_MIB)]


def disk_is_built(recipe: Recipe) -> bool:
    """Return whether the user's cache has the disk."""
    return cached_folder(_name(recipe), _reads(recipe)).is_dir()


def build_disk(recipe: Recipe, report: Report = silent) -> Path:
    """Return the disk of a recipe, built now if there is none yet. Devices write to overlays over it.

    Raises:
        MirrorError: Debian's packages cannot be reached.
        LabError: It cannot be built.
    """

    def make(folder: Path) -> None:
        root = build_rootfs(recipe, report)
        report("making the disk", 0, 0)
        command = ["mke2fs", *_OPTIONS, "-E", _NO_LAZY, "-d", root, folder / "disk.raw", f"{SIZE_MIB}M"]
        # Everything on the disk is root's, also when a user made the root file system.
        as_root = [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
        run([*as_root, *command], what="Making the disk", timeout_s=300)

    return cached(_name(recipe), _reads(recipe), make) / "disk.raw"
