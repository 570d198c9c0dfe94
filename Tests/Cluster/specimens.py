"""Recordings to judge, made from those of traces/: redacted (every copy has other bytes), cut, broken, without their kernel."""

import os
import random
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ["v7-good", "v7-trap-skips-host-save", "deb-6.1-good"]
# Recorded without build-ids: their kernel lies beside them.
BESIDE = ["v7-good", "deb-6.1-good"]
KINDS = ["whole", "whole", "whole", "cut", "broken", "no kernel"]


def make(program: str, folder: Path, count: int) -> None:
    """Recordings of every kind; the same number makes the same kinds."""
    chance = random.Random(count)
    plan = []
    for number in range(count):
        name = SOURCES[number % len(SOURCES)]
        kind = KINDS[number // len(SOURCES) % len(KINDS)]
        path = folder / f"{'alone' if kind == 'no kernel' else name}-{number % 7}" / f"{number:05}.data"
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name("vmlinux.slim.zst")
        if kind != "no kernel" and name in BESIDE and not beside.is_symlink():
            beside.symlink_to(ROOT / "traces" / name / beside.name)
        plan.append((ROOT / "traces" / name / "perf.data", path, kind))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda one: subprocess.run([program, "redact", "-q", str(one[0]), str(one[1])], check=True), plan))
    for source, path, kind in plan:
        data = path.read_bytes()
        if kind == "cut":
            path.write_bytes(data[:chance.randrange(200, len(data))])
        elif kind == "broken":
            path.write_bytes(chance.choice([b"", b"PERFILE2" + chance.randbytes(900), chance.randbytes(5000), b"no recording\n"]))
        elif kind == "no kernel":
            build_id = bytes.fromhex(kernel_of(program, source))
            path.write_bytes(data.replace(build_id, chance.randbytes(len(build_id))))


@cache
def kernel_of(program: str, recording: Path) -> str:
    text = subprocess.run([program, "analyze", "-q", "--format", "json", str(recording)], capture_output=True, text=True, check=False).stdout
    found = re.search(r'"(?:recordedBuildId|buildId)": "([0-9a-f]+)"', text)
    if found is None:
        raise SystemExit(f"{recording} has no kernel")
    return found[1]


def store(program: str, folder: Path) -> None:
    """As perf buildid-cache keeps kernels."""
    for name in SOURCES:
        build_id = kernel_of(program, ROOT / "traces" / name / "perf.data")
        place = folder / ".build-id" / build_id[:2] / build_id[2:]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "traces" / name / "vmlinux.slim.zst", place / "vmlinux")
