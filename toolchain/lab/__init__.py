"""Emulated devices on this machine, for anyone who has no board: `edgepack lab up`.

Two ways to have a device, from whole to light:

    machine.py     a whole machine under QEMU: Debian's own Arm kernel and programs, the kernel's power
                   sensor, a power switch and a cable that can be pulled (`rpi64`, `rpi32`)
    namespaces.py  a host name, an address, processes and a work folder of its own on this kernel (`fleet`)

What a machine boots is made once and kept in the user's cache: `debian.py` fetches packages, `rootfs.py`
unpacks them, `disk.py` makes the disk, `kernel.py` the kernel with its first file system. `control.py` is the
way in.

Rules:
    * Everything listens on loopback or in a network made here; a machine reaches nothing outside.
    * The configuration of this machine's apt, its firewall and its routes stay as they are.
    * Only processes that were started here are ended, by process id and start time.
    * Emulated time says nothing about a real device: everything that is registered is marked `emulated`.
"""
