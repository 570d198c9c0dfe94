"""The first file system of the emulated host: a cpio archive in memory, name to bytes."""

from __future__ import annotations

import os
import subprocess

from .trouble import Missing, need

# What a kernel may have as modules of what the shared folder needs.
MODULES = ["virtio_mmio", "virtio_pci", "9pnet_virtio", "9p"]
FOLDERS = ["dev/", "proc/", "sys/", "tmp/", "out/"]
Files = dict[str, bytes]


def archive(files: Files) -> bytes:
    """cpio "newc" (Documentation/driver-api/early-userspace/buffer-format.rst); every file may be executed."""
    out = bytearray()
    folders: set[str] = set()
    for path in [*files, *FOLDERS]:
        parts = path.split("/")[:-1]
        folders.update("/".join(parts[: depth + 1]) for depth in range(len(parts)))

    def add(name: str, mode: int, data: bytes) -> None:
        numbers = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        out.extend(("070701" + "".join(f"{number:08x}" for number in numbers)).encode())
        out.extend(name.encode() + b"\0")
        out.extend(bytes(-len(out) % 4))
        out.extend(data)
        out.extend(bytes(-len(out) % 4))

    for name in sorted(folders):
        add(name, 0o40755, b"")
    for name, data in files.items():
        add(name, 0o100755, data)
    add("TRAILER!!!", 0, b"")
    return bytes(out)


def read(path: str) -> bytes:
    """A file's contents, out of .xz, .zst or .gz."""
    for suffix, program in ((".xz", "xz"), (".zst", "zstd"), (".gz", "gzip")):
        if path.endswith(suffix):
            need(program)
            return subprocess.run([program, "-dcq", path], check=True, capture_output=True).stdout
    with open(path, "rb") as file:
        return file.read()


def programs(system: str, names: list[str]) -> Files:
    """Programs of an unpacked Debian, with the shared libraries that they ask for; busybox always."""
    need("aarch64-linux-gnu-readelf")
    index: dict[str, str] = {}
    for base, _, found in os.walk(system):
        for name in found:
            if ".so" in name and "/lib" in base:
                index.setdefault(name, os.path.join(base, name))
    taken: dict[str, str] = {}

    def follow(path: str) -> None:
        text = subprocess.run(["aarch64-linux-gnu-readelf", "-d", path], check=True, capture_output=True, text=True)
        for line in text.stdout.splitlines():
            if "(NEEDED)" not in line:
                continue
            name = line.split("[")[1].split("]")[0]
            if name in index and name not in taken:
                taken[name] = index[name]
                follow(index[name])

    files: Files = {}
    for name in ["busybox", *names]:
        paths = [path for path in (f"{system}/bin/{name}", f"{system}/usr/bin/{name}") if os.path.exists(path)]
        if not paths:
            raise Missing(f"{system} has no {name}: remove that folder, it is fetched again")
        files["bin/" + name] = read(paths[0])
        follow(paths[0])
    if taken:
        linker = "ld-linux-aarch64.so.1"
        taken[linker] = index[linker]
    for name, path in taken.items():
        folder = "lib" if name.startswith("ld-") else "lib/aarch64-linux-gnu"
        files[f"{folder}/{name}"] = read(path)
    return files


def modules(folder: str | None, wanted: list[str] = MODULES) -> Files:
    """Those of the wanted modules that the folder has, with what they depend on, in the order to load them."""
    there: dict[str, str] = {}
    for base, _, names in os.walk(folder) if folder else []:
        for name in names:
            stem = name.split(".ko")[0].replace("-", "_")
            if name != stem and ".ko" in name:
                there[stem] = os.path.join(base, name)
    files: Files = {}
    order: list[str] = []

    def load(name: str) -> None:
        if name in order or name not in there:
            return
        data = read(there[name])
        start = data.find(b"\0depends=")
        depends = data[start + 9:data.index(b"\0", start + 9)].decode() if start >= 0 else ""
        for other in depends.split(","):
            load(other.replace("-", "_"))
        order.append(name)
        files[f"modules/{name}.ko"] = data

    for name in wanted:
        load(name)
    files["modules/order"] = "".join(name + ".ko\n" for name in order).encode()
    return files
