"""Which recordings there are: all of a folder, or those of a list."""

import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, NamedTuple

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from servers import URLS, ask

LISTS = (".list", ".tsv", ".txt")
# Servers that are asked at a time.
ASKED = 16


class NoInput(Exception):
    """What was given names no recordings."""


class Recording(NamedTuple):
    """As Spark spells its path. What is not there has no bytes and no time, and a row that says so."""

    path: str
    length: int
    modified: datetime | None
    labels: dict[str, str]


def recordings(spark: SparkSession, source: str) -> list[Recording]:
    if not source.endswith(LISTS):
        return of_folder(spark, source)
    lines = [line for (line,) in spark.read.text(source).collect()]
    return of_list(spark, source, lines)


def of_folder(spark: SparkSession, source: str) -> list[Recording]:
    """Every file below it but kernels; what Spark takes for its own (names that begin with _ or .) is left out, and said."""
    found, hidden = [], []
    top = file_system(spark, source)[1].toString()
    for status in statuses(spark, source):
        path = str(status.getPath().toString())
        below = path.removeprefix(str(top)).strip("/").split("/")
        if below[-1].startswith("vmlinux"):
            continue
        if any(name.startswith(("_", ".")) for name in below):
            hidden.append(path)
        else:
            found.append(recording(status, {}))
    if hidden:
        print(f"{len(hidden)} files are left out: names that begin with _ or . are taken for Spark's own, as "
              f"{min(hidden)} (a list may name them)", file=sys.stderr)
    if not found:
        raise NoInput(f"{source} has no recordings")
    return sorted(found)


def of_list(spark: SparkSession, source: str, lines: list[str]) -> list[Recording]:
    """A path a line, then KEY=VALUE, between tabs; a line that is none ends the job before it begins."""
    found: dict[str, Recording] = {}
    for number, line in enumerate(lines, 1):
        text, *facts = line.rstrip("\r").split("\t")
        if not text.strip() or text.startswith("#"):
            continue
        try:
            given = labels(facts)
            system, path = (None, text) if text.startswith(URLS) else file_system(spark, text)
        except (ValueError, Py4JError, PySparkException) as error:
            said = str(getattr(error, "java_exception", error))
            raise NoInput(f"{source}, line {number}: {said}") from None
        name = str(path)
        if name in found:
            raise NoInput(f"{source}, line {number}: {name} is there twice")
        if system is not None and system.isFile(path):
            found[name] = recording(system.getFileStatus(path), given)
        else:
            found[name] = Recording(name, 0, None, given)
    if not found:
        raise NoInput(f"{source} names no recordings")
    with ThreadPoolExecutor(ASKED) as pool:
        return list(pool.map(lambda one: of_server(one) if one.path.startswith(URLS) else one, found.values()))


def of_server(named: Recording) -> Recording:
    """As its server says; as named, which is not there, where it says nothing."""
    said = ask(named.path)
    return Recording(named.path, said[0], said[1], named.labels) if said else named


def labels(facts: list[str]) -> dict[str, str]:
    """As analyze --label takes them."""
    given: dict[str, str] = {}
    for fact in facts:
        key, is_one, value = fact.partition("=")
        if not fact:
            continue
        if not is_one or not re.fullmatch("[A-Za-z0-9_.-]+", key):
            raise ValueError(f"{fact!r} is no KEY=VALUE, the key of letters, digits, _, - and .")
        if key in given:
            raise ValueError(f"{key} is given twice")
        if len(value) > 1000 or any(ord(letter) < 32 for letter in value):
            raise ValueError(f"the value of {key} is no line of text")
        given[key] = value
    return given


def file_system(spark: SparkSession, text: str) -> tuple[Any, Any]:
    """Where a path lies, and how it is spelled there: file:/a/b for /a//b, for a relative one, and for file:///a/b."""
    java: Any = spark._jvm
    context: Any = spark._jsc
    path = java.org.apache.hadoop.fs.Path(text)
    system = path.getFileSystem(context.hadoopConfiguration())
    return system, system.makeQualified(path)


def statuses(spark: SparkSession, source: str) -> Iterator[Any]:
    system, path = file_system(spark, source)
    if not system.exists(path):
        raise NoInput(f"{source} does not exist")
    files = system.listFiles(path, True)
    while files.hasNext():
        yield files.next()


def recording(status: Any, given: dict[str, str]) -> Recording:
    when = datetime.fromtimestamp(status.getModificationTime() / 1000)
    return Recording(str(status.getPath().toString()), int(status.getLen()), when, given)
