"""What keeps a check from being made, in the words of who has to mend it."""

from __future__ import annotations

import os
import shutil


class Missing(Exception):
    """Something on this machine is missing: no kernel is to blame."""


class Unbootable(Exception):
    """The kernel cannot be tried: it is not built, does not boot, panics, hangs, or has no KVM."""


class Usage(Exception):
    """The command line asks for what there is not."""


TROUBLES = (Missing, Unbootable, Usage)


# The program that is needed, and the Debian package that brings it.
PACKAGES = {
    "qemu-system-aarch64": "qemu-system-arm",
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    "aarch64-linux-gnu-nm": "binutils-aarch64-linux-gnu",
    "aarch64-linux-gnu-readelf": "binutils-aarch64-linux-gnu",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "dpkg-source": "dpkg-dev",
    "gcc": "gcc",
    "meson": "meson",
    "ninja": "ninja-build",
    "pkg-config": "pkg-config",
    "setpriv": "util-linux",
    "tar": "tar",
    "xz": "xz-utils",
    "zstd": "zstd",
    "pahole": "dwarves",
    "make": "make",
    "flex": "flex",
    "bison": "bison",
    "bc": "bc",
    "clang": "clang",
    "ld.lld": "lld",
    **dict.fromkeys(("llvm-ar", "llvm-nm", "llvm-objcopy", "llvm-readelf", "llvm-strip"), "llvm"),
}


def need(*programs: str) -> None:
    """Raises Missing, with the command that installs them, if one of the programs is not there."""
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        packages = " ".join(dict.fromkeys(_package(program) for program in absent))
        raise Missing(f"{', '.join(absent)} not found: apt-get install {packages}")


def _package(program: str) -> str:
    """clang-19 comes with clang-19, ld.lld-19 with lld-19."""
    base, dash, version = program.rpartition("-")
    if dash and version.isdigit() and base in PACKAGES:
        return f"{PACKAGES[base]}-{version}"
    return PACKAGES.get(program, program)


def need_file(path: str, package: str) -> None:
    if not os.path.exists(path):
        raise Missing(f"{path} not found: apt-get install {package}")
