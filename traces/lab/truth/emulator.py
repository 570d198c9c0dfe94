"""How a QEMU that `prepare` built is asked for a log."""

from __future__ import annotations

import os
import re
import subprocess

from emulation import initramfs
from emulation.trouble import Missing, need

# Functions of the kernel whose every call is a line; a kernel need not have all of them.
FUNCTIONS = [
    "kvm_arch_vcpu_load", "kvm_arch_vcpu_put", "__guest_enter", "handle_exit", "kvm_inject_undefined", "kvm_reset_vcpu",
    "kvm_arm_vcpu_ptrauth_trap", "kvm_handle_ptrauth", "kvm_hyp_handle_ptrauth", "__hyp_handle_ptrauth",
]
NEEDED = {"kvm_arch_vcpu_load", "kvm_arch_vcpu_put", "__guest_enter", "handle_exit"}


def check(qemu: str) -> None:
    """A stock one would boot all the same, and write nothing."""
    try:
        with open(qemu, "rb") as file:
            good = b"PTRAUTH_TRUTH_LOG" in file.read()
    except OSError as error:
        raise Missing(f"{qemu}: {error.strerror}: traces/lab/truth/prepare builds it") from error
    if not good:
        raise Missing(f"{qemu} is a QEMU that keeps no log of its CPUs: traces/lab/truth/prepare builds one")
    need("zstd", "aarch64-linux-gnu-nm")


def environment(vmlinux: str, probes: str, log: str, scratch: str) -> dict[str, str]:
    """vmlinux: of the kernel that is booted, without KASLR; probes: the script of `ptrauth-trace probes` for it."""
    words = {"PTRAUTH_TRUTH_LOG": log, "PTRAUTH_TRUTH_FUNCTIONS": _functions(vmlinux, scratch)}
    features = re.search(r"\bfeatures=\+(\d+)\((?:%x0|\+(\d+)\(%x0\))\)", initramfs.read(probes).decode())
    if features:
        words["PTRAUTH_TRUTH_FEATURES"] = f"{features[2]}:{features[1]}" if features[2] else features[1]
    return words


def _functions(vmlinux: str, scratch: str) -> str:
    if vmlinux.endswith((".xz", ".zst", ".gz")):
        plain = os.path.join(scratch, "vmlinux")
        with open(plain, "wb") as file:
            file.write(initramfs.read(vmlinux))
        vmlinux = plain
    listed = subprocess.run(["aarch64-linux-gnu-nm", vmlinux], check=False, capture_output=True, text=True).stdout
    found: dict[str, str] = {}
    for line in listed.splitlines():
        parts = line.split()
        # A compiler may give a function's only copy another ending.
        name = parts[-1].split(".")[0] if len(parts) == 3 and parts[1] in "tT" else ""
        if name in FUNCTIONS and (name not in found or parts[-1] == name):
            found[name] = parts[0]
    absent = sorted(NEEDED - found.keys())
    if absent:
        raise Missing(f"{vmlinux} has no symbol {', '.join(absent)}: --truth needs the whole vmlinux")
    return ",".join(f"{address}:{name}" for name, address in found.items())


def pack(log: str, path: str) -> None:
    subprocess.run(["zstd", "-qf", "-T0", log, "-o", path], check=True)
