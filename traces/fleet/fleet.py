#!/usr/bin/env python3
"""Judges any number of recordings on Apache Spark: spark-submit fleet.py --help. README.md has the whole.

The unit of work is a recording. Its report is kept (the table `reports`), and every other table is made from the reports:
a run does what has no report yet, a batch at a time, and a batch is there whole or not at all. What cannot be read, or
takes too long, or too much memory, has a report that says so.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as f

from bounds import Bounds
from judging import judge
from listing import LOCAL, NoInput, literal, recordings
from tables import FINDINGS, RECORDINGS, REPORTS, TIMELINE, VCPUS, findings, recording, vcpus

INPUTS = "path string, url string, length bigint, modified timestamp, absent string, labels map<string,string>, batch int, earlier boolean"
TODO = Row("path", "url", "length", "modified", "absent", "labels", "batch", "earlier")
REPORTED = ["require", "exit_code", "seconds", "report", "timeline"]


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
    place = java.org.apache.hadoop.fs.Path(table)
    system = place.getFileSystem(context.hadoopConfiguration())
    if not system.exists(place):
        return set()
    found = [status.getPath() for status in system.listStatus(place)]
    return {int(str(path.getName()).removeprefix("batch=")) for path in found
            if re.fullmatch(r"batch=\d+", str(path.getName())) and system.exists(java.org.apache.hadoop.fs.Path(path, "_SUCCESS"))}


def table(spark: SparkSession, out: str, name: str, numbers: set[int], schema: str) -> DataFrame:
    """The whole batches of a table."""
    if not numbers:
        return spark.createDataFrame([], schema + ", batch int")
    paths = [literal(f"{out}/{name}/batch={number}") for number in sorted(numbers)]
    return spark.read.option("basePath", f"{out}/{name}").schema(schema + ", batch int").parquet(*paths)


def todo(spark: SparkSession, options: argparse.Namespace, there: set[int]) -> list[Row]:
    """What has no report of its length and time with these rules required, or not with its labels: the latter has the batch of
    its report. What was judged and cannot be looked up now keeps what it has."""
    given = sorted((TODO(one.path, one.url, *one[1:5], None, False) for one in recordings(spark, options.input)), key=lambda row: row.path)
    if not there:
        return given
    last = f.max(f.struct("batch", "length", "modified", "require", entries("labels").alias("labels")))
    reports = table(spark, options.out, "reports", there, REPORTS).groupBy("path").agg(last.alias("last"))
    rows = spark.createDataFrame(given, INPUTS).drop("batch", "earlier").join(reports, "path", "left")
    away = f.col("absent").isNotNull()
    same = f.col("length").eqNullSafe(f.col("last.length")) & f.col("modified").eqNullSafe(f.col("last.modified"))
    same &= f.col("last.require").eqNullSafe(f.lit(options.require))
    if options.again:
        wrong = rows_of(spark, options.out).where(options.again).select("path", f.lit(True).alias("wrong"))
        rows, same = rows.join(wrong, "path", "left"), same & f.col("wrong").isNull()
    judged = f.col("last").isNotNull() & (away | same)
    relabelled = judged & f.col("labels").isNotNull() & (entries("labels") != f.col("last.labels"))
    facts = [f.when(judged, f.col(f"last.{name}")).otherwise(f.col(name)).alias(name) for name in ("length", "modified")]
    found = rows.where(~judged | relabelled | away).select(
        "path", "url", *facts, "absent", "labels", f.when(judged, f.col("last.batch")).alias("batch"),
        f.col("last.length").isNotNull().alias("earlier"), relabelled.alias("relabelled")
    ).orderBy("path").collect()
    kept = [row for row in found if row.batch is not None and row.absent is not None]
    if kept:
        print(f"{len(kept)} recordings could not be looked up now, and keep what was found of them, as {kept[0].path}: "
              f"{kept[0].absent}", file=sys.stderr)
    return [TODO(*row[:-1]) for row in found if row.batch is None or row.relabelled]


def entries(labels: str) -> Column:
    """Spark compares no maps."""
    return f.sort_array(f.map_entries(labels))


def chosen(spark: SparkSession, options: argparse.Namespace, rows: list[Row]) -> DataFrame:
    """A batch with what executors cannot read by themselves, and with the reports of those of which the labels alone are new."""
    frame = spark.createDataFrame(rows, INPUTS)
    reported = {row.batch for row in rows} - {None}
    if reported:
        reports = table(spark, options.out, "reports", reported, REPORTS)
        frame = frame.join(reports.select("path", "batch", *REPORTED), ["path", "batch"], "left")
    else:
        frame = frame.withColumns({name: f.lit(None) for name in REPORTED})
    paths = [literal(row.path) for row in rows
             if row.batch is None and row.absent is None and row.url is None and not row.path.startswith(LOCAL)]
    if not paths:
        return frame.withColumn("content", f.lit(None).cast("binary"))
    reader = spark.read.format("binaryFile").option("ignoreMissingFiles", True)
    return frame.join(reader.load(paths).select("path", "content"), "path", "left")


def analyze(spark: SparkSession, options: argparse.Namespace, bounds: Bounds) -> tuple[int, int]:
    """Judges what has no report, and returns how many have one now, and how many got other labels."""
    there = batches(spark, f"{options.out}/reports")
    found = todo(spark, options, there)
    kept: list[str] = []
    for number, start in enumerate(range(0, len(found), options.batch), max(there, default=-1) + 1):
        rows = found[start:start + options.batch]
        tasks = max(1, -(-len(rows) // options.recordings_per_task))
        judged = chosen(spark, options, rows).repartition(tasks, "path").rdd.map(lambda row: judge(row, bounds)).filter(bool)
        spark.createDataFrame(judged, REPORTS).write.mode("overwrite").parquet(f"{options.out}/reports/batch={number}")
        if any(row.earlier for row in rows):
            written = {path for (path,) in table(spark, options.out, "reports", {number}, REPORTS).select("path").collect()}
            kept += [row.path for row in rows if row.path not in written]
    if kept:
        print(f"{len(kept)} recordings could not be fetched now, and keep what was found of them, as {kept[0]}", file=sys.stderr)
    relabelled = sum(row.batch is not None for row in found)
    return len(found) - relabelled - len(kept), relabelled


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


def unlike(spark: SparkSession, options: argparse.Namespace) -> int:
    """How many reports were made with other rules required."""
    reports = table(spark, options.out, "reports", batches(spark, f"{options.out}/reports"), REPORTS)
    last = reports.groupBy("path").agg(f.max(f.struct("batch", "require")).alias("last"))
    return last.where(~f.col("last.require").eqNullSafe(f.lit(options.require))).count()


def timeline(row: Row) -> Iterator[dict[str, Any]]:
    """Lines of the timeline, where it was asked for."""
    for line in (row.timeline or "").splitlines():
        yield {"path": row.path, "line": line}


def program(word: str) -> str:
    """Where it is: of a link Spark ships what it leads to, by that name."""
    path = os.path.realpath(shutil.which(word) or word)
    if not os.access(path, os.X_OK):
        raise NoInput(f"{word} is no program")
    return path


def refuse(options: argparse.Namespace) -> None:
    """What the program does not take, before it is asked of every recording."""
    questions = [["merge", "--by", options.by, "-"]]
    if options.require:
        questions.append(["analyze", "--require", options.require, "/dev/null"])
    for words in questions:
        asked = subprocess.run([options.program, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if asked.returncode == 64:
            raise NoInput(asked.stderr.partition("\n")[0].removeprefix("Error: "))


def main() -> int:
    options = arguments()
    options.program = program(options.program)
    refuse(options)
    asked = subprocess.run([options.program, "--version"], capture_output=True, text=True, check=True)
    options.version = asked.stdout.split()[1].rstrip(",")
    # However it is spelled: with another one the verdict may be another.
    options.require = ",".join(sorted(set(filter(None, (options.require or "").split(","))))) or None
    codec = ("spark.sql.parquet.compression.codec", "zstd")
    spark = SparkSession.builder.appName("ptrauth-trace").config(*codec).getOrCreate()
    if not spark.sparkContext.getConf().contains("spark.sql.shuffle.partitions"):
        # Spark's 200 are for rows: what is shuffled here are their names.
        spark.conf.set("spark.sql.shuffle.partitions", max(8, 2 * spark.sparkContext.defaultParallelism))
    spark.sparkContext.addFile(options.program)
    for ours in ("bounds.py", "facts.py", "judging.py", "servers.py", "tables.py"):
        spark.sparkContext.addPyFile(str(Path(__file__).with_name(ours)))
    kernels = options.kernels
    if kernels and "://" in kernels:
        spark.sparkContext.addFile(kernels, recursive=True)
        kernels = os.path.basename(kernels.rstrip("/"))
    bounds = Bounds(options, kernels and (kernels if "://" in options.kernels else os.path.abspath(kernels)))
    new, relabelled = analyze(spark, options, bounds)
    derive(spark, options.out)
    summaries = rows_of(spark, options.out)
    lines = summaries.select("summary").rdd.map(lambda row: row.summary)
    merged = lines.mapPartitions(lambda part: merge(iter(part), bounds)).collect()
    all_of_them = summaries.count()
    compare(new + relabelled, all_of_them, options.out)
    print(f"{new} new recordings, {all_of_them} in all", file=sys.stderr)
    if relabelled:
        print(f"{relabelled} have other labels now, and the same report", file=sys.stderr)
    demanded = unlike(spark, options)
    if demanded:
        print(f"{demanded} of them were judged with another --require: a run judges them anew if its --input has them", file=sys.stderr)
    others = summaries.where(~f.col("version").eqNullSafe(options.version)).count()
    if others:
        print(f"{others} of them were judged by other versions of ptrauth-trace than {options.version}; judge them again with "
              f"--again \"version <> '{options.version}'\"", file=sys.stderr)
    spark.stop()
    return report(merged, options)


def compare(written: int, found: int, out: str) -> None:
    """A report of less than what was written just now would be taken for one of all."""
    if found < written:
        raise RuntimeError(f"{written} rows were written, and of them {found} are in {out}")


def report(merged: list[str], options: argparse.Namespace) -> int:
    """What all recordings say, on this machine; the exit code is merge's, or that of a report that could not be written."""
    words = [options.program, "merge", "--by", options.by, "-"]
    codes = []
    for path in options.report:
        codes.append(subprocess.run([*words, "-q", "-o", path], input="".join(merged), text=True, check=False).returncode)
    code = subprocess.run(words, input="".join(merged), text=True, check=False).returncode
    return next((other for other in codes if other != code), code)


class Words(argparse.ArgumentParser):
    """Of which the exit code 2 would say that something could not be judged."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(64, f"{self.prog}: {message}\n")


def number(word: str) -> int:
    """Of what there must be some."""
    if not re.fullmatch(r"[1-9]\d{0,8}", word):
        raise argparse.ArgumentTypeError(f"{word!r} is no number from 1 on")
    return int(word)


def arguments() -> argparse.Namespace:
    parser = Words(prog="fleet.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--input", required=True, help="a folder of recordings, or a list (.list, .tsv, .txt): see README.md")
    parser.add_argument("--out", required=True, help="where the Parquet tables are, and those of earlier runs")
    parser.add_argument("--program", default="ptrauth-trace", help="the static program, which executors get")
    parser.add_argument("--kernels", help="vmlinux files by build-id: .build-id/b1/4dcc.../vmlinux, as perf keeps them")
    parser.add_argument("--seconds", type=number, default=300, help="a recording may take (default 300)")
    parser.add_argument("--memory", type=number, default=4096, help="MiB a recording may take (default 4096)")
    parser.add_argument("--batch", type=number, default=5000, help="recordings between two commits (default 5000)")
    parser.add_argument("--recordings-per-task", type=number, default=8, help="of one Spark task (default 8)")
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
