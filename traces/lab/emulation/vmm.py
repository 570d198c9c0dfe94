"""The VMM of the workload, built for arm64."""

from __future__ import annotations

import os
import subprocess

from .trouble import Missing, need

SOURCES = ["vmm.c", "machine.c", "guest.S"]


def build(lab: str, folder: str) -> str:
    """The path of the program, in the folder; lab: where workload/ is."""
    need("aarch64-linux-gnu-gcc")
    program = os.path.join(folder, "vmm")
    sources = [f"{lab}/workload/{name}" for name in SOURCES]
    built = subprocess.run(["aarch64-linux-gnu-gcc", "-O2", "-static", "-o", program, *sources, "-lpthread"],
                           check=False, capture_output=True, text=True)
    if built.returncode != 0:
        raise Missing("the VMM cannot be built (apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross): "
                      + built.stderr.strip())
    return program
