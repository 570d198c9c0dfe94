#!/usr/bin/env python3
"""Judges any number of recordings on Apache Spark: spark-submit fleet.py --help. README.md has the whole.

The unit of work is a recording. Its report is kept (the table `reports`), and every other table is made from the reports:
a run does what has no report yet, a batch at a time, and a batch is there whole or not at all. What cannot be read, or
takes too long, or too much memory, has a report that says so.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as f

import servers
from bounds import Bounds
from listing import NoInput, recordings
from tables import FINDINGS, RECORDINGS, REPORTS, TIMELINE, VCPUS, findings, recording, vcpus

INPUTS = "path string, length bigint, modified timestamp, labels map<string,string>"


def judge(row: Row, bounds: Bounds) -> dict[str, Any]:
    """One recording: its report, or one that says why there is none."""
    name = servers.name(row.path) if row.path.startswith(servers.URLS) else os.path.basename(row.path)
    with tempfile.TemporaryDirectory(prefix="ptrauth-fleet-") as folder:
        path = row.path.removeprefix("file:")
        absent = None if row.modified else "is named in the list, and is not there"
        if not absent and not row.path.startswith("file:"):
            # In a folder of its own: whatever it is called, it is not taken for one of ours.
            os.mkdir(os.path.join(folder, "recording"))
            path = os.path.join("recording", name)
            absent = bring(row, Path(folder, path))
        report = Path(folder, "report.json")
        words = ["analyze", "-q", "--offline", "--format", "json", "-o", str(report), path]
        if bounds.require:
            words += ["--require", bounds.require]
        start = time.monotonic()
        code, complaint = (2, "") if absent else bounds.run(words, folder)
        seconds = time.monotonic() - start
        labels = [word for key, value in row.labels.items() for word in ("--label", f"{key}={value}")]
        summary = Path(folder, "summary.jsonl")
        words = ["render", "-q", "--format", "summary", "-o", str(summary), *labels, str(report)]
        if absent or code < 0 or not report.exists() or bounds.run(words, folder)[0] != 0:
            why = absent or bounds.why(code, complaint)
            report.write_text(refused(name, why.removeprefix(f"{path}: "), bounds.version))
            rendered, complaint = bounds.run(words, folder)
            if rendered != 0:  # The program itself is wrong: no row could be believed.
                raise RuntimeError(f"{row.path}: render --format summary: {complaint}")
        timeline = None
        if bounds.timeline and not absent and code in (0, 1, 2):
            lines = Path(folder, "timeline.jsonl")
            bounds.run(["analyze", "-q", "--offline", "--no-audit", "--format", "jsonl", "-o", str(lines), path], folder)
            timeline = lines.read_text() if lines.exists() else None
        return {"path": row.path, "length": row.length, "modified": row.modified, "labels": row.labels,
                "exit_code": code, "seconds": seconds, "report": report.read_text(), "summary": summary.read_text(),
                "timeline": timeline}


def bring(row: Row, place: Path) -> str | None:
    """Puts what lies elsewhere into a file; why it did not come."""
    place.write_bytes(row.content or b"")
    if row.path.startswith(servers.URLS):
        why = servers.fetch(row.path, place)
        return why and f"could not be fetched: {why}"
    if row.content is None:
        return "could not be fetched: it is gone, or Spark takes its name, with _ or . in front, for its own"
    return None


def refused(name: str, why: str, version: str) -> str:
    """The report of a recording of which there is none, as analyze writes it among those of others."""
    return json.dumps({"schema": "ptrauth-trace/analysis/2", "toolVersion": version, "recording": {"path": name},
                       "verdict": "unusable", "error": why}) + "\n"


def merge(lines: Iterator[str], bounds: Bounds) -> Iterator[str]:
    """Summaries of a partition as few lines: merges of merges say the same."""
    first = next(lines, None)
    if first is None:
        return
    with tempfile.TemporaryDirectory(prefix="ptrauth-fleet-") as folder:
        summaries, merged = Path(folder, "summaries.jsonl"), Path(folder, "merged.jsonl")
        with open(summaries, "w", encoding="utf-8") as text:
            text.write(first)
            text.writelines(lines)
        code, complaint = bounds.run(["merge", "--format", "summary", "-o", str(merged), str(summaries)], folder)
        if not merged.exists():
            raise RuntimeError(f"merge ended with {code}: {complaint}")
        yield from merged.read_text().splitlines(keepends=True)


def batches(spark: SparkSession, table: str) -> set[int]:
    """Numbers of the batches of a table that are whole: Spark writes _SUCCESS last."""
    java: Any = spark._jvm
    context: Any = spark._jsc
    path = java.org.apache.hadoop.fs.Path(table + "/batch=*/_SUCCESS")
    found = path.getFileSystem(context.hadoopConfiguration()).globStatus(path)
    return {int(str(status.getPath().getParent().getName()).split("=")[1]) for status in found or []}


def table(spark: SparkSession, out: str, name: str, numbers: set[int], schema: str) -> DataFrame:
    """The whole batches of a table."""
    if not numbers:
        return spark.createDataFrame([], schema + ", batch int")
    paths = [f"{out}/{name}/batch={number}" for number in sorted(numbers)]
    return spark.read.option("basePath", f"{out}/{name}").schema(schema + ", batch int").parquet(*paths)


def analyze(spark: SparkSession, options: argparse.Namespace, bounds: Bounds) -> int:
    """Judges what has no report, and returns how many that were."""
    there = batches(spark, f"{options.out}/reports")
    given = spark.createDataFrame(recordings(spark, options.input), INPUTS)
    done = table(spark, options.out, "reports", there, REPORTS)
    if options.again:
        again = rows_of(spark, options.out).where(options.again).select("path")
        done = done.join(again, "path", "left_anti")
    same = [given[name].eqNullSafe(done[name]) for name in ("path", "length", "modified")]
    todo = given.join(done, same, "left_anti").orderBy("path").collect()
    for number, start in enumerate(range(0, len(todo), options.batch), max(there, default=-1) + 1):
        rows = todo[start:start + options.batch]
        chosen = spark.createDataFrame(rows, INPUTS).withColumn("content", f.lit(None).cast("binary"))
        # What executors cannot read by themselves. Of these letters Spark makes patterns.
        paths = [re.sub(r"([\\*?\[\]{}])", r"\\\1", row.path) for row in rows
                 if row.modified is not None and not row.path.startswith(("file:", *servers.URLS))]
        if paths:
            reader = spark.read.format("binaryFile").option("ignoreMissingFiles", True)
            chosen = chosen.drop("content").join(reader.load(paths).select("path", "content"), "path", "left")
        tasks = max(1, -(-len(rows) // options.recordings_per_task))
        judged = chosen.repartition(tasks, "path").rdd.map(lambda row: judge(row, bounds))
        spark.createDataFrame(judged, REPORTS).write.mode("overwrite").parquet(f"{options.out}/reports/batch={number}")
    return len(todo)


def rows_of(spark: SparkSession, out: str) -> DataFrame:
    """The table of recordings."""
    return table(spark, out, "recordings", batches(spark, f"{out}/recordings"), RECORDINGS)


def derive(spark: SparkSession, out: str) -> None:
    """The tables of batches that have reports and no table yet, and of those of which a recording was judged again since:
    it has one row, its last. `recordings` comes last."""
    there = batches(spark, f"{out}/reports")
    last = table(spark, out, "reports", there, REPORTS).groupBy("path").agg(f.max("batch").alias("batch")).cache()
    kept = rows_of(spark, out).select("path", "batch")
    older = kept.join(last, ["path", "batch"], "left_anti").select("batch").distinct().collect()
    for number in sorted(there - batches(spark, f"{out}/recordings") | {row.batch for row in older}):
        reports = table(spark, out, "reports", {number}, REPORTS).join(last, ["path", "batch"], "left_semi").rdd
        for name, rows, schema in [("findings", reports.flatMap(findings), FINDINGS),
                                   ("vcpus", reports.flatMap(vcpus), VCPUS),
                                   ("timeline", reports.flatMap(timeline), TIMELINE),
                                   ("recordings", reports.map(recording), RECORDINGS)]:
            spark.createDataFrame(rows, schema).write.mode("overwrite").parquet(f"{out}/{name}/batch={number}")


def timeline(row: Row) -> Iterator[dict[str, Any]]:
    """Lines of the timeline, where it was asked for."""
    for line in (row.timeline or "").splitlines():
        yield {"path": row.path, "line": line}


def main() -> int:
    options = arguments()
    options.program = os.path.abspath(shutil.which(options.program) or options.program)
    asked = subprocess.run([options.program, "--version"], capture_output=True, text=True, check=True)
    options.version = asked.stdout.split()[1].rstrip(",")
    codec = ("spark.sql.parquet.compression.codec", "zstd")
    spark = SparkSession.builder.appName("ptrauth-trace").config(*codec).getOrCreate()
    if not spark.sparkContext.getConf().contains("spark.sql.shuffle.partitions"):
        # Spark's 200 are for rows: what is shuffled here are their names.
        spark.conf.set("spark.sql.shuffle.partitions", max(8, 2 * spark.sparkContext.defaultParallelism))
    spark.sparkContext.addFile(options.program)
    for ours in ("bounds.py", "servers.py", "tables.py"):
        spark.sparkContext.addPyFile(str(Path(__file__).with_name(ours)))
    kernels = options.kernels
    if kernels and "://" in kernels:
        spark.sparkContext.addFile(kernels, recursive=True)
        kernels = os.path.basename(kernels.rstrip("/"))
    bounds = Bounds(options, kernels and (kernels if "://" in options.kernels else os.path.abspath(kernels)))
    new = analyze(spark, options, bounds)
    derive(spark, options.out)
    summaries = rows_of(spark, options.out)
    lines = summaries.select("summary").rdd.map(lambda row: row.summary)
    merged = lines.mapPartitions(lambda part: merge(iter(part), bounds)).collect()
    print(f"{new} new recordings, {summaries.count()} in all", file=sys.stderr)
    others = summaries.where(~f.col("version").eqNullSafe(options.version)).count()
    if others:
        print(f"{others} of them were judged by other versions of ptrauth-trace than {options.version}; judge them again with "
              f"--again \"version <> '{options.version}'\"", file=sys.stderr)
    spark.stop()
    return report(merged, options)


def report(merged: list[str], options: argparse.Namespace) -> int:
    """What all recordings say, on this machine; the exit code is merge's, or that of a report that could not be written."""
    words = [options.program, "merge", "--by", options.by, "-"]
    codes = []
    for path in options.report:
        codes.append(subprocess.run([*words, "-q", "-o", path], input="".join(merged), text=True, check=False).returncode)
    code = subprocess.run(words, input="".join(merged), text=True, check=False).returncode
    return next((other for other in codes if other != code), code)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--input", required=True, help="a folder of recordings, or a list (.list, .tsv, .txt): see README.md")
    parser.add_argument("--out", required=True, help="where the Parquet tables are, and those of earlier runs")
    parser.add_argument("--program", default="ptrauth-trace", help="the static program, which executors get")
    parser.add_argument("--kernels", help="vmlinux files by build-id: .build-id/b1/4dcc.../vmlinux, as perf keeps them")
    parser.add_argument("--seconds", type=int, default=300, help="a recording may take (default 300)")
    parser.add_argument("--memory", type=int, default=4096, help="MiB a recording may take (default 4096)")
    parser.add_argument("--batch", type=int, default=5000, help="recordings between two commits (default 5000)")
    parser.add_argument("--recordings-per-task", type=int, default=8, help="of one Spark task (default 8)")
    parser.add_argument("--require", help="rules without which a recording is no pass, as analyze --require")
    parser.add_argument("--again", help="judge those again of which this holds, as \"verdict = 'unusable'\": SQL over the "
                        "columns of recordings")
    parser.add_argument("--timeline", action="store_true", help="keep the timeline of every run (large)")
    parser.add_argument("--by", default="kernel", help="how the report tells recordings apart, as merge --by")
    parser.add_argument("--report", action="append", default=[], help="a merged report (.html, .json, .xml, .md); again")
    return parser.parse_args()


def run() -> int:
    """Exit code 1 says that there are findings, and nothing else."""
    try:
        return main()
    except NoInput as error:
        print(f"fleet.py: {error}", file=sys.stderr)
        return 64
    except Exception:  # noqa: BLE001
        traceback.print_exc()
        return 70


if __name__ == "__main__":
    sys.exit(run())
