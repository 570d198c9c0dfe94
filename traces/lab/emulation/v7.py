"""The v7 kernel of the lab, built from the tree that kernel/prepare made."""

from __future__ import annotations

import os

from . import archive, build, kernel

LAB = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
# Its handler can be preempted inside the save, which is its own fault. It is found where a preemption falls into it.
OWN = {"preemptible-host-save"}
KNOWN = LAB + "/kernel/v7.known.json"


def build_tree(tree: str, out: str) -> kernel.Kernel:
    """As check-kernel --build would; out: the folder of the build's log."""
    os.makedirs(out, exist_ok=True)
    return build.build(tree, LAB + "/kernel/v7.config", None, LAB, archive.cache_folder(), out + "/build.log",
                       lambda stage, seconds: None)
