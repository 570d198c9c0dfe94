"""A kernel to be judged: its Image, its vmlinux, and its modules if it has any."""

from __future__ import annotations

import glob
import gzip
import os
import re
import struct
import subprocess
import zlib
from dataclasses import dataclass, field

from .archive import Archive
from .trouble import Missing, Unbootable, Usage, need


@dataclass(frozen=True)
class Kernel:
    name: str
    image: str
    vmlinux: str
    modules: str | None  # a folder that has .ko files, however deep
    refused: list[str] = field(default_factory=list)  # options that were asked for and did not take


def of_files(image: str, vmlinux: str, modules: str | None) -> Kernel:
    for path in (image, vmlinux):
        if not os.path.isfile(path):
            raise Usage(f"{path}: no such file")
    if modules is not None and not os.path.isdir(modules):
        raise Usage(f"{modules}: no such folder")
    return Kernel(os.path.basename(image), image, vmlinux, modules)


def of_debian(archive: Archive, version: str) -> Kernel:
    """version: empty (Debian 12's own), or what a package's version begins with: 6.12, 6.12.95+deb12."""
    cached = _cached(archive, version)
    candidates = [cached] if cached else _newest_first(archive, version)
    for chosen in candidates:
        # What the lists name may have left the mirror; the verdict names the kernel that was taken.
        try:
            boot = boot_folder(archive, chosen)
            break
        except Missing:
            if chosen == candidates[-1]:
                raise
    symbols = archive.unpack([f"linux-image-{chosen}-arm64-dbg"], "symbols-" + chosen, only="./usr/lib/debug/*vmlinux*")
    vmlinux = [path for path in glob.glob(symbols + "/**/vmlinux*", recursive=True)
               if os.path.isfile(path) and not os.path.islink(path)]
    if not vmlinux:
        raise Missing(f"no vmlinux in {symbols}: remove that folder, it is fetched again")
    return Kernel("Debian " + chosen, image_in(boot), vmlinux[0], boot)


def boot_folder(archive: Archive, version: str) -> str:
    """The unpacked packages of a Debian kernel, modules included."""
    boot = os.path.join(archive.folder, "kernel-" + version)
    if os.path.exists(boot):
        return boot
    package = f"linux-image-{version}-arm64"
    parts = [name for name in archive.depends(package) if re.match(r"linux-(binary|modules)-", name)]
    return archive.unpack([package, *parts], "kernel-" + version)


def image_in(boot: str) -> str:
    images = [path for path in glob.glob(boot + "/**/vmlinu*", recursive=True) if os.path.isfile(path)]
    if not images:
        raise Missing(f"no kernel in {boot}: remove that folder, it is fetched again")
    return images[0]


def _cached(archive: Archive, version: str) -> str | None:
    """An exact version that is in the cache needs no mirror."""
    there = all(os.path.exists(f"{archive.folder}/{part}-{version}") for part in ("kernel", "symbols"))
    return version if version and there else None


def _newest_first(archive: Archive, version: str) -> list[str]:
    found = archive.kernels()
    if not version:
        current = re.compile(r"linux-image-(.*)-arm64$")
        own = [match[1] for name in archive.depends("linux-image-arm64") if (match := current.match(name))]
        found = [name for name in found if name in own]
    else:
        found = [name for name in found if re.match(re.escape(version) + r"(?!\d)", name)]
    if not found:
        known = ", ".join(archive.kernels())
        raise Usage(f"Debian has no arm64 kernel {version or '(current)'} with debug symbols; it has {known}")
    return found[::-1]


def bootable(image: str, scratch: str) -> str:
    """The same Image, out of its self-extracting EFI shell if it has one: QEMU before 8.0 does not know it."""
    with open(image, "rb") as file:
        data = file.read()
    if data[4:8] != b"zimg":
        if data[:2] == b"\x1f\x8b" or data[0x38:0x3C] == b"ARMd":
            return image
        raise Unbootable(f"{image} is no arm64 Image (nor Image.gz, nor vmlinuz.efi)")
    try:
        payload = _payload(image, data)
    except (OSError, EOFError, struct.error, zlib.error) as problem:
        raise Unbootable(f"{image} cannot be unpacked: {problem}") from problem
    path = os.path.join(scratch, "Image")
    with open(path, "wb") as file:
        file.write(payload)
    return path


def _payload(image: str, data: bytes) -> bytes:
    start, length = struct.unpack_from("<II", data, 8)
    kind = data[24:56].split(b"\0")[0].decode(errors="replace")
    packed = data[start:start + length]
    if kind == "gzip":
        return gzip.decompress(packed)
    tools = {"zstd": ["zstd", "-dcq"], "xzkern": ["xz", "-dcq"], "lzma": ["xz", "-dcq", "--format=lzma"]}
    if kind not in tools:
        raise Unbootable(f"{image} is compressed with {kind}: give arch/arm64/boot/Image")
    need(tools[kind][0])
    result = subprocess.run(tools[kind], input=packed, check=False, capture_output=True)
    if result.returncode != 0:
        raise Unbootable(f"{image} cannot be unpacked: {result.stderr.decode(errors='replace').strip()}")
    return result.stdout
