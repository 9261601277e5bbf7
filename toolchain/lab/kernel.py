"""What an emulated machine boots: Debian's own Arm kernel, modules, first file system and device tree.

    kernel = build_kernel()
    kernel.image, kernel.initrd, kernel.device_tree

Rules:
    * Whatever kernel Debian's index has today is taken, with headers and sources of exactly its version.
    * Only the modules that a device needs are kept, in the order in which they must be loaded.
    * Modules that Debian does not build (`sensor_modules.py`) are compiled against this kernel.
"""

from __future__ import annotations

import gzip
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.toolchain.errors import LabError
from edgepack.toolchain.lab.cache import cached, cached_folder
from edgepack.toolchain.lab.commands import run
from edgepack.toolchain.lab.cpio import cpio
from edgepack.toolchain.lab.debian import SUITE, Archive, fields, host_architecture, unpack
from edgepack.toolchain.lab.sensor_modules import MODULES as COMPILED
from edgepack.toolchain.lab.sensor_modules import compile_modules
from edgepack.toolchain.progress import silent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgepack.toolchain.progress import Report

ARCHITECTURE = "arm64"
CPU = "cortex-a72"
CPUS = 4
MEMORY_MIB = 512
MODEL = "Raspberry Pi 4 Model B Rev 1.4"
_VERSION = "1"  # raise it when the same lists give another result
_META = "linux-image-arm64"
# ext4 asks for its checksum by an alias that only modprobe knows.
_NEEDED = (
    "crc32c_generic",
    "virtio_mmio",
    "virtio_blk",
    "virtio_net",
    "ext4",
    "i2c-dev",
    "i2c-stub",
    "ina2xx",
)
_OPTIONS = {"i2c-stub": "chip_addr=0x40"}
_CARRIED = ("test_power",)  # on the device, loaded by whoever wants a battery
_INIT = Path(__file__).parent / "guest/initrd.sh"


@dataclass(frozen=True)
class Kernel:
    """The files that a machine boots.

    Attributes:
        folder: Where they lie.
    """

    folder: Path

    @property
    def image(self) -> Path:
        """The kernel."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The first file system; what tells devices apart is put behind it."""
        return self.folder / "initrd.gz"

    @property
    def device_tree(self) -> Path:
        """The description of the machine."""
        return self.folder / "board.dtb"

    @property
    def release(self) -> str:
        """What `uname -r` says."""
        return (self.folder / "release").read_text(encoding="utf-8").strip()


def _reads() -> list[str]:
    lists = [
        _NEEDED,
        _CARRIED,
        tuple(_OPTIONS.items()),
        tuple(COMPILED.items()),
        CPU,
        CPUS,
        MEMORY_MIB,
        MODEL,
    ]
    return [_VERSION, SUITE, _INIT.read_text(encoding="utf-8"), *map(repr, lists)]


def kernel_is_built() -> bool:
    """Return whether the user's cache has a kernel."""
    return cached_folder("kernel-arm64", _reads()).is_dir()


def build_kernel(report: Report = silent) -> Kernel:
    """Return the kernel, built now if there is none yet.

    Raises:
        MirrorError: Debian's packages cannot be reached.
        LabError: It cannot be built.
    """

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="edgepack-kernel-", dir=folder.parent) as temporary:
            _make(Path(temporary), folder, report)

    return Kernel(cached("kernel-arm64", _reads(), make))


def _make(work: Path, folder: Path, report: Report) -> None:
    report("fetching Debian's index", 0, 0)
    host = host_architecture()
    archive = Archive(work / "apt", ARCHITECTURE, also=[host])
    archive.update()
    [image] = [name for name in archive.depends(_META) if re.fullmatch(r"linux-image-[\w.+-]+", name)]
    release = image.removeprefix("linux-image-")
    series = ".".join(release.split(".")[:2])
    report("fetching the kernel, its headers and sources (210 MB)", 0, 0)
    packages = archive.fetch(
        [
            image, f"linux-headers-{release}", f"linux-headers-{release.removesuffix(ARCHITECTURE)}common",
            f"linux-kbuild-{series}:{host}", f"linux-source-{series}", "busybox-static",
        ]
    )  # fmt: skip
    by_name = {fields(package)["Package"]: package for package in packages}
    _require_one_version(by_name.values())
    report("unpacking the kernel", 0, 0)
    unpack(by_name[image], work)
    unpack(by_name["busybox-static"], work)
    report("compiling the modules of the power sensor", 0, 0)
    compiled = compile_modules(by_name, release, work / "modules")
    shutil.copyfile(work / "boot" / f"vmlinuz-{release}", folder / "vmlinuz")
    (folder / "release").write_text(release + "\n", encoding="utf-8")
    modules = _by_name((work / "lib/modules").rglob("*.ko")) | _by_name(compiled)
    busybox = (work / "bin/busybox").read_bytes()
    with gzip.GzipFile(folder / "initrd.gz", "wb", compresslevel=6, mtime=0) as file:
        file.write(_initrd(modules, busybox))
    _write_device_tree(folder / "board.dtb")


def _require_one_version(packages: Iterable[Path]) -> None:
    """Check that kernel, headers and sources belong together.

    Raises:
        LabError: They do not: a mirror that is being updated.
    """
    kernel = [fields(package) for package in packages if package.name.startswith("linux-")]
    versions = {each["Version"] for each in kernel}
    if len(versions) > 1:
        found = ", ".join(f"{each['Package']} {each['Version']}" for each in kernel)
        message = f"Debian's kernel packages are not of one version: {found}."
        raise LabError(message, remedy="The mirror is being updated: try again in an hour.")


def _by_name(files: Iterable[Path]) -> dict[str, Path]:
    """Return modules by their name, in which the kernel takes `-` and `_` for the same."""
    return {path.stem.replace("-", "_"): path for path in files}


def load_order(modules: dict[str, Path], wanted: Iterable[str]) -> list[str]:
    """Return modules with all that they depend on, each after what it needs.

    Args:
        modules: The files, by name with `_` in place of `-`.
        wanted: The modules to load.

    Raises:
        LabError: A module does not exist.
    """
    order: list[str] = []

    def add(name: str) -> None:
        name = name.replace("-", "_")
        if name in order:
            return
        if name not in modules:
            message = f"Debian's kernel has no module '{name}'."
            raise LabError(message, remedy="Report this: Debian's kernel has changed.")
        for needed in _depends(modules[name].read_bytes()):
            add(needed)
        order.append(name)

    for name in wanted:
        add(name)
    return order


def _depends(module: bytes) -> list[str]:
    """Return what a module says that it depends on, in its section `.modinfo`."""
    found = re.search(rb"\0depends=([^\0]*)\0", module)
    return [name for name in (found[1].decode() if found else "").split(",") if name]


def _initrd(modules: dict[str, Path], busybox: bytes) -> bytes:
    order = load_order(modules, _NEEDED)
    files = {
        "init": (_INIT.read_bytes(), 0o755),
        "bin/busybox": (busybox, 0o755),
        "modules/order": ("\n".join(order).encode() + b"\n", 0o644),
    }
    for name in (*order, *_CARRIED):
        files[f"modules/{name}.ko"] = (modules[name].read_bytes(), 0o644)
    for name, options in _OPTIONS.items():
        files[f"modules/{name.replace('-', '_')}.options"] = (options.encode(), 0o644)
    return cpio(files)


def _write_device_tree(path: Path) -> None:
    """Let QEMU write the device tree of its machine, and give the machine its name."""
    machine = ["-M", f"virt,dumpdtb={path}", "-cpu", CPU, "-smp", str(CPUS), "-m", str(MEMORY_MIB)]
    run(["qemu-system-aarch64", *machine, "-nic", "none", "-display", "none"], what="Writing the device tree")
    run(["fdtput", "-t", "s", path, "/", "model", MODEL], what="Naming the machine")
