"""One recording: its report, or one that says why there is none."""

import json
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pyspark.sql import Row

import servers
from bounds import Bounds
from servers import NotFetched


def judge(row: Row, bounds: Bounds) -> dict[str, Any] | None:
    """Its row. One that has a report already gets its labels alone; one that had one, and does not come now, keeps that, and has
    no new one."""
    with TemporaryDirectory(prefix="ptrauth-fleet-") as folder:
        report = Path(folder, "report.json")
        found = {name: getattr(row, name) for name in ("length", "modified", "require", "exit_code", "seconds", "timeline")}
        why = None
        if row.report is None:
            why = analyze(row, bounds, folder, found)
            if found["length"] is None and row.earlier:
                return None
        else:
            report.write_text(row.report, encoding="utf-8")
        labels = [word for key, value in (row.labels or {}).items() for word in ("--label", f"{key}={value}")]
        summary = Path(folder, "summary.jsonl")
        words = ["render", "-q", "--format", "summary", "-o", str(summary), *labels, str(report)]
        if why is not None or not report.exists() or bounds.run(words, folder)[0] != 0:
            why = why or bounds.why(found["exit_code"], "")
            report.write_text(refused(name_of(row), why, bounds.version), encoding="utf-8")
            rendered, complaint = bounds.run(words, folder)
            if rendered != 0:  # The program itself is wrong: no row could be believed.
                raise RuntimeError(f"{row.path}: render --format summary: {complaint}")
        return {"path": row.path, "labels": row.labels or {}, **found, "report": report.read_text(encoding="utf-8"),
                "summary": summary.read_text(encoding="utf-8")}


def analyze(row: Row, bounds: Bounds, folder: str, found: dict[str, Any]) -> str | None:
    """Writes its report; why there is none."""
    found |= {"require": bounds.require, "exit_code": 2, "seconds": 0.0}
    path = row.path.removeprefix("file:")
    try:
        if row.absent is not None:
            raise NotFetched(row.absent)
        if not row.path.startswith("file:"):
            # In a folder of its own: whatever it is called, it is not taken for one of ours.
            os.mkdir(os.path.join(folder, "recording"))
            path = os.path.join("recording", name_of(row))
            bring(row, Path(folder, path), bounds.seconds)
    except NotFetched as error:
        if not error.lasting:  # No length is that of what is there: another run tries again.
            found["length"] = None
        return str(error)
    words = ["analyze", "-q", "--offline", "--format", "json", "-o", str(Path(folder, "report.json")), path]
    if bounds.require:
        words += ["--require", bounds.require]
    start = time.monotonic()
    code, complaint = bounds.run(words, folder)
    found |= {"exit_code": code, "seconds": time.monotonic() - start}
    if bounds.timeline and code in (0, 1, 2):
        lines = Path(folder, "timeline.jsonl")
        bounds.run(["analyze", "-q", "--offline", "--no-audit", "--format", "jsonl", "-o", str(lines), path], folder)
        found["timeline"] = lines.read_text(encoding="utf-8") if lines.exists() else None
    if code < 0 or not Path(folder, "report.json").exists():
        return bounds.why(code, complaint).removeprefix(f"{path}: ")
    return None


def bring(row: Row, place: Path, seconds: int) -> None:
    """Puts what lies elsewhere into a file."""
    if row.path.startswith(servers.URLS):
        servers.fetch(row.url, place, seconds, row.length or 0)
    elif row.content is None:
        raise NotFetched("could not be fetched: it is gone, or Spark takes its name, with _ or . in front, for its own")
    else:
        place.write_bytes(row.content)


def name_of(row: Row) -> str:
    """In its report."""
    return servers.name(row.path) if row.path.startswith(servers.URLS) else os.path.basename(row.path)


def refused(name: str, why: str, version: str) -> str:
    """The report of a recording of which there is none, as analyze writes it among those of others."""
    return json.dumps({"schema": "ptrauth-trace/analysis/2", "toolVersion": version, "recording": {"path": name},
                       "verdict": "unusable", "error": why}) + "\n"
