"""What one recording may take, without a cluster: one that takes too long, too much, or is killed has a row that says which."""

import argparse
import shutil
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from expectation import expect

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "traces" / "fleet"))
sys.dont_write_bytecode = True
import bounds
import fleet
import tables

ENDED = "was ended after 2 s, which is what --seconds allows"
# What each does instead, its exit code, and what its row says.
WAYS = {
    "slow": ("sleep 60", -signal.SIGXCPU, ENDED),
    "busy": ("while :; do :; done", -signal.SIGXCPU, ENDED),
    "killed": ("kill -9 $$", -signal.SIGKILL, "the analysis was killed, as a machine does"),
    "crashed": ("kill -SEGV $$", -signal.SIGSEGV, "the analysis was ended by signal 11; --memory allows 2048 MiB"),
    "mute": ("exit 3", 3, "the analysis ended with exit code 3 and no report"),
    "hungry": (f"exec {sys.executable} -c 'bytearray(3 << 30)'", 1, "MemoryError"),
    "fine": (":", 0, ""),
}


def hold(program: str, work: Path) -> None:
    wrapper = work / "ptrauth-trace"
    ways = "".join(f"  *analyze*{name}.data) {way} ;;\n" for name, (way, _, _) in WAYS.items())
    wrapper.write_text(f'#!/bin/bash\ncase "$*" in\n{ways}esac\nexec {program} "$@"\n')
    wrapper.chmod(0o755)
    bounds.SparkFiles = SimpleNamespace(get=lambda _: str(wrapper))  # type: ignore[attr-defined, assignment]

    def may(seconds: int) -> bounds.Bounds:
        return bounds.Bounds(argparse.Namespace(program="ptrauth-trace", seconds=seconds, memory=2048, require=None, timeline=False,
                                               version="1"), None)

    def judged(name: str) -> Any:
        path = work / f"{name}.data"
        shutil.copy(ROOT / "traces" / "v7-good" / "perf.data", path)
        row: Any = SimpleNamespace(path=f"file:{path}", length=1, modified=datetime(2026, 1, 1), labels={"board": "x"}, content=None)
        return SimpleNamespace(**fleet.judge(row, may(2 if WAYS[name][2] == ENDED else 300)))

    with ThreadPoolExecutor(len(WAYS)) as pool:
        rows = dict(zip(WAYS, pool.map(judged, WAYS), strict=True))
    for name, (_, code, reason) in WAYS.items():
        said = tables.recording(rows[name])
        if name != "fine":
            expect(rows[name].exit_code == code and said["verdict"] == "unusable" and reason in said["reason"], f"{name}: {said['reason']}")
        expect('"board":"x"' in rows[name].summary and '"recordings":1' in rows[name].summary, f"{name} has its summary")
    for content, modified, reason in [(None, datetime(2026, 1, 1), "could not be fetched"), (None, None, "is named in the list, and is not there"),
                                      (b"", datetime(2026, 1, 1), "the file is empty;")]:
        # Named as one of the job's own files.
        row: Any = SimpleNamespace(path="s3a://lab/report.json", length=0, modified=modified, labels={}, content=content)
        one: Any = SimpleNamespace(**fleet.judge(row, may(300)))
        said = tables.recording(one)
        expect(said["verdict"] == "unusable" and said["reason"].startswith(reason), f"from elsewhere: {said['reason']}")
