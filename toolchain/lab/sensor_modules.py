"""Kernel modules that Debian does not build for Arm: an I2C bus without a wire, the INA2xx driver, a battery.

They are the kernel's own sources, unchanged, of the version of the kernel that loads them.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.toolchain.errors import LabError
from edgepack.toolchain.lab.commands import run
from edgepack.toolchain.lab.debian import unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

MODULES = {
    "i2c-stub": "drivers/i2c/i2c-stub.c",
    "ina2xx": "drivers/hwmon/ina2xx.c",
    "test_power": "drivers/power/supply/test_power.c",
}
CROSS_COMPILE = "aarch64-linux-gnu-"


def compile_modules(packages: Mapping[str, Path], release: str, folder: Path) -> list[Path]:
    """Compile the modules and return their files.

    Args:
        packages: The package files of kernel headers, kbuild and sources, by name of the package.
        release: The kernel's release, such as "6.1.0-50-arm64".
        folder: An empty folder to work in.

    Raises:
        LabError: Sources are missing or do not compile.
    """
    tree, build = folder / "headers", folder / "build"
    for path in (tree, build):
        path.mkdir(parents=True)
    for name, package in packages.items():
        if name.startswith(("linux-headers-", "linux-kbuild-")):
            unpack(package, tree)
    [sources] = [package for name, package in packages.items() if name.startswith("linux-source-")]
    _extract(sources, build)
    headers = tree / "usr/src" / f"linux-headers-{release}"
    makefile = headers / "Makefile"
    makefile.write_text(makefile.read_text().replace("/usr/src/", f"{tree}/usr/src/"))
    # `mod-objs := test_power.o` would be another module: the name of each is that of its file.
    (build / "Makefile").write_text(f"obj-m := {' '.join(f'{name}.o' for name in MODULES)}\n")
    options = ["ARCH=arm64", f"CROSS_COMPILE={CROSS_COMPILE}"]
    run(
        ["make", "-C", headers, f"M={build}", *options, "modules"], what="Compiling the power sensor's driver"
    )
    return [build / f"{name}.ko" for name in MODULES]


def _extract(package: Path, folder: Path) -> None:
    """Take the sources of the modules out of the package of all sources.

    The archive inside is read until the last of them is found: the programs before tar in the pipe end
    because nobody reads on, and what they say then does not matter.
    """
    series = package.name.split("_")[0]
    wanted = [f"{series}/{path}" for path in MODULES.values()]
    inner = ["tar", "-xO", f"./usr/src/{series}.tar.xz"]
    take = ["tar", "-xJ", "-C", str(folder), "--occurrence=1", "--transform=s,.*/,,", *wanted]
    quiet = subprocess.DEVNULL
    with (
        subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE, stderr=quiet
        ) as outer,
        subprocess.Popen(inner, stdin=outer.stdout, stdout=subprocess.PIPE, stderr=quiet) as middle,
    ):
        done = subprocess.run(take, stdin=middle.stdout, capture_output=True, text=True, check=False)
        for process in (outer, middle):
            assert process.stdout is not None
            process.stdout.close()
    missing = [path for path in MODULES.values() if not (folder / Path(path).name).is_file()]
    if missing:
        message = f"{package.name} does not hold {', '.join(missing)}: {done.stderr.strip()[-300:]}"
        raise LabError(message, remedy="Report this: Debian's kernel sources have changed.")
