"""What one recording may take, without a cluster: one that takes too long, too much, or is killed has a row that says which."""

import argparse
import os
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
import judging
import tables

SOURCE = ROOT / "traces" / "v7-good" / "perf.data"

ENDED = "was ended after 2 s, which is what --seconds allows"
# What each does instead, its exit code, and what its row says.
WAYS = {
    "slow": ("sleep 60", bounds.TOO_LONG, ENDED),
    "busy": ("while :; do :; done", bounds.TOO_LONG, ENDED),
    "killed": ("kill -9 $$", -signal.SIGKILL, "the analysis was killed, as a machine does"),
    "crashed": ("kill -SEGV $$", -signal.SIGSEGV, "the analysis was ended by signal 11; --memory allows 2048 MiB"),
    "worn": ("kill -XCPU $$", -signal.SIGXCPU, "was ended for the processor time of its threads"),
    # Its threads together may take more than the wall's clock shows.
    "limited": ("sleep 2; ulimit -t >&2; exit 3", 3, str(300 * ((os.cpu_count() or 1) + 1))),
    "mute": ("exit 3", 3, "the analysis ended with exit code 3 and no report"),
    "hungry": (f"exec {sys.executable} -c 'bytearray(3 << 30)'", 1, "MemoryError"),
    "fine": (":", 0, ""),
}


def hold(program: str, work: Path) -> None:
    wrapper = work / "ptrauth-trace"
    ways = "".join(f"  *analyze*{name}.data*) {way} ;;\n" for name, (way, _, _) in WAYS.items())
    wrapper.write_text(f'#!/bin/bash\ncase "$*" in\n{ways}esac\nexec {program} "$@"\n')
    wrapper.chmod(0o755)
    bounds.SparkFiles = SimpleNamespace(get=lambda _: str(wrapper))  # type: ignore[attr-defined, assignment]

    def may(seconds: int) -> bounds.Bounds:
        return bounds.Bounds(argparse.Namespace(program="ptrauth-trace", seconds=seconds, memory=2048, require="critical", timeline=False,
                                               version="1"), None)

    def judged(name: str) -> Any:
        path = work / f"{name}.data"
        shutil.copy(SOURCE, path)
        given = row(f"file:{path}", 1, datetime(2026, 1, 1))
        return made(given, may(2 if WAYS[name][2] == ENDED else 300))

    with ThreadPoolExecutor(len(WAYS)) as pool:
        rows = dict(zip(WAYS, pool.map(judged, WAYS), strict=True))
    for name, (_, code, reason) in WAYS.items():
        said = tables.recording(rows[name])
        if name != "fine":
            expect(rows[name].exit_code == code and said["verdict"] == "unusable" and reason in said["reason"], f"{name}: {said['reason']}")
        expect('"board":"x"' in rows[name].summary and '"recordings":1' in rows[name].summary, f"{name} has its summary")
    for content, absent, reason in [(None, None, "could not be fetched"), (None, "is named in the list, and is not there", "is named in"),
                                    (b"", None, "the file is empty;")]:
        # Named as one of the job's own files.
        one = row("s3a://lab/report.json", 0, None, absent, content)
        judged_one = made(one, may(300))
        said = tables.recording(judged_one)
        expect(said["verdict"] == "unusable" and said["reason"].startswith(reason), f"from elsewhere: {said['reason']}")
        expect((judged_one.length is None) == (content is None), "what did not come is tried again")
        one.earlier = True
        expect((judging.judge(one, may(300)) is None) == (content is None), "and keeps the report that it had")
    other = row("file:/nonexistent", 1, None)
    other.report, other.exit_code, other.labels, other.require = rows["fine"].report, 0, {"board": "y"}, "all"
    again = made(other, may(300))
    expect((again.require, rows["fine"].require) == ("all", "critical"), "a report has what was required of it")
    expect('"board":"y"' in again.summary and again.report == rows["fine"].report, "other labels need no recording")


def made(row: Any, may: bounds.Bounds) -> Any:
    """Its row."""
    found = judging.judge(row, may)
    if found is None:
        raise SystemExit(f"not so: {row.path} has a row")
    return SimpleNamespace(**found)


def row(path: str, length: int, modified: datetime | None, absent: str | None = None, content: bytes | None = None) -> Any:
    return SimpleNamespace(path=path, length=length, modified=modified, absent=absent, content=content, labels={"board": "x"},
                           url=None, earlier=False, require=None, report=None, exit_code=None, seconds=None, timeline=None)
