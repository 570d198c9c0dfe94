"""The folder of a run's reports: one run at a time, and nothing is removed from it that check-kernel did not write."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable

from .trouble import Missing, Usage

MARK = ".check-kernel"  # makes a folder one of check-kernel's; locked while a run uses it
REPORTS = {
    "build.log", "console.txt", "log.txt", "perf.data", "warnings.txt", "workload.txt", "audit.json", "audit.txt",
    "analysis.json", "analysis.html", "analysis.txt", "analysis.ktap", "analysis.xml", "comparison.txt",
    "comparison.json", "check.ktap", "check.xml", "check.txt", "check.json", "truth.json", "truth.log.zst", "truth.txt",
}


def claim(path: str, inputs: Iterable[str]) -> str:
    """The real path of the folder, made, without reports of an earlier run, and this run's until it ends.

    inputs: what the command line names, of which nothing may be one of the reports.
    """
    if not path:
        raise Usage("--out names no folder")
    out = os.path.realpath(path)
    for named in inputs:
        _spare(named, out)
    try:
        os.makedirs(out, exist_ok=True)
        found = REPORTS.intersection(os.listdir(out))
        if found and not _is_own(out):
            raise Usage(f"{path} has {', '.join(sorted(found))}, and no check-kernel made that folder: "
                        "name another as --out")
        _lock(out)
        for name in REPORTS.intersection(os.listdir(out)):
            os.remove(os.path.join(out, name))
    except OSError as error:
        raise Usage(f"--out {path}: {error.strerror}") from error
    return out


def write(out: str, name: str, text: str) -> None:
    try:
        with open(os.path.join(out, name), "w") as file:
            file.write(text)
    except OSError as error:
        raise Missing(f"{name} cannot be written to {out}: {error.strerror}") from error


def _spare(named: str, out: str) -> None:
    real = os.path.realpath(named)
    if os.path.dirname(real) == out and os.path.basename(real) in REPORTS:
        raise Usage(f"{named} is a report in the folder of --out, and would be removed")


def _is_own(out: str) -> bool:
    if os.path.exists(os.path.join(out, MARK)):
        return True
    try:  # of a version that left no mark
        with open(os.path.join(out, "check.json")) as file:
            return str(json.load(file)["schema"]).startswith("ptrauth-trace/check/")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _lock(out: str) -> None:
    lock = os.open(os.path.join(out, MARK), os.O_CREAT | os.O_WRONLY, 0o644)  # until this program ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Usage(f"another check-kernel uses the folder {out} at this moment") from error
