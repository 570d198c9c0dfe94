"""Kernels of which the answer is known: boards of their own, in tables as the job has them. Without Spark, and in it."""

import re

import duckdb
from pyspark.sql import SparkSession

import limits  # Finds the modules of the job.
import tables
from expectation import expect

# Of a board: release, build-id, month of the recording, verdict, and whether its finding is one of correctness; and whether it is new.
BOARDS: dict[str | None, tuple[list[tuple[str | None, str | None, int | None, str, bool | None]], bool]] = {
    "new": ([("6.1", "aa", 1, "clean", None), ("6.2", "bb", 2, "findings", True)], True),
    "old": ([("6.1", "aa", 1, "findings", True), ("6.2", "bb", 2, "findings", True)], False),
    "mended": ([("6.1", "aa", 1, "findings", True), ("6.2", "bb", 2, "clean", None)], False),
    "alone": ([("6.1", "aa", 1, "findings", True)], False),
    "suspected before": ([("6.1", "aa", 1, "incomplete", True), ("6.2", "bb", 2, "findings", True)], True),
    "a cost before": ([("6.1", "aa", 1, "findings", False), ("6.2", "bb", 2, "findings", True)], True),
    "suspected now": ([("6.1", "aa", 1, "clean", None), ("6.2", "bb", 2, "incomplete", True)], False),
    "no time is last": ([("6.1", "bb", 1, "clean", None), ("6.2", "aa", None, "findings", True)], True),
    "no times": ([("6.1", "bb", None, "clean", None), ("6.2", "aa", None, "findings", True)], False),
    "no times, by name": ([("6.1", "aa", None, "clean", None), ("6.2", "bb", None, "findings", True)], False),
    "no times, the first": ([("6.1", "aa", None, "findings", True), ("6.2", "bb", None, "clean", None)], False),
    "one time": ([("6.1", "bb", 1, "clean", None), ("6.2", "aa", 1, "findings", True)], False),
    "no build-ids": ([("6.1", None, 1, "clean", None), ("6.2", None, 2, "findings", True)], True),
    "no kernel known": ([("6.1", "aa", 1, "findings", True), (None, None, 2, "unusable", None)], False),
    "": ([("6.2", "bb", 2, "findings", True)], False),
    None: ([("6.1", "aa", 1, "clean", None), ("6.2", "bb", 2, "findings", True)], True),
}


def queries() -> dict[str, str]:
    text = (limits.ROOT / "traces" / "fleet" / "queries.sql").read_text()
    parts = [part.strip() for part in re.split(r"^(?=-- [a-z_]+: )", text, flags=re.MULTILINE)[1:]]
    return {re.match(r"-- ([a-z_]+):", part)[1]: re.sub(r"^--.*\n", "", part, flags=re.MULTILINE).rstrip(";\n") for part in parts}  # type: ignore[index]


def rows() -> dict[str, tuple[str, list[str]]]:
    """Of each table the names of its columns that matter, and rows in SQL."""
    recordings, findings = [], []
    for number, (board, (kernels, _)) in enumerate(BOARDS.items()):
        for place, (release, build_id, month, verdict, correctness) in enumerate(kernels):
            said = ["NULL" if word is None else f"'{word}'" for word in (f"{number}/{place}", board, release, build_id, verdict)]
            time = "NULL" if month is None else f"'2026-0{month}-01'"
            recordings.append(f"({', '.join(said)}, CAST({time} AS TIMESTAMP))")
            if correctness is not None:
                findings.append(f"({said[0]}, 'missed-host-save', {correctness})")
    return {"recordings": ("path, board, release, build_id, verdict, modified", recordings),
            "findings": ("path, rule, correctness", findings)}


def views() -> list[str]:
    return [f"CREATE OR REPLACE TEMPORARY VIEW {name} AS SELECT * FROM (VALUES {', '.join(values)}) AS given ({columns})"
            for name, (columns, values) in rows().items()]


def new() -> list[tuple[str | None, str, int]]:
    found: list[tuple[str | None, str, int]] = [(board, "missed-host-save", 1) for board, (_, is_new) in BOARDS.items() if is_new]
    return sorted(found, key=lambda row: (row[0] is not None, row[0] or ""))


def hold() -> None:
    for name, (columns, _) in rows().items():
        schema: str = getattr(tables, name.upper())
        expect({column.strip() for column in columns.split(",")} <= {column.split()[0] for column in schema.split(", ")},
               f"{name} have these columns")
    base = duckdb.connect()
    for view in views():
        base.execute(view)
    said = base.execute(queries()["new_findings_by_board"]).fetchall()
    expect(said == new(), f"new findings are those of the last kernel, where one came before: {said}")


def hold_in(spark: SparkSession) -> None:
    for view in views():
        spark.sql(view)
    said = [tuple(row) for row in spark.sql(queries()["new_findings_by_board"]).collect()]
    expect(said == new(), "and in Spark")
