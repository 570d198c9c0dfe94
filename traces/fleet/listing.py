"""Which recordings there are: all of a folder, or those of a list."""

import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, NamedTuple

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

import facts
from facts import NOT_THERE, Facts, absent
from folders import Tree, look
from servers import URLS, ask, unsigned

LISTS = (".list", ".tsv", ".txt")
LOCAL = "file:"
# Servers that are asked at a time.
ASKED = 16


class NoInput(Exception):
    """What was given names no recordings."""


class Recording(NamedTuple):
    """As Spark spells its path; `url`: with the signature that its server wants. What cannot be had has neither bytes nor time,
    and a row that says why. A folder says no labels."""

    path: str
    length: int | None
    modified: datetime | None
    absent: str | None
    labels: dict[str, str] | None
    url: str | None = None


def literal(path: str) -> str:
    """For what would make a pattern of some of its letters."""
    return re.sub(r"([\\*?\[\]{}])", r"\\\1", path)


def recordings(spark: SparkSession, source: str) -> list[Recording]:
    if not source.endswith(LISTS):
        return of_folder(spark, source)
    lines = [line for (line,) in spark.read.text(literal(source)).collect()]
    return of_list(spark, source, lines)


def of_folder(spark: SparkSession, source: str) -> list[Recording]:
    """Every file below it but kernels, and every folder that is a recording; what is left out is said."""
    top = str(file_system(spark, source)[1].toString())
    found: list[Recording] = []
    hidden: list[str] = []
    if top.startswith(LOCAL):
        if not os.path.exists(top.removeprefix(LOCAL)):
            raise NoInput(f"{source} does not exist")
        local = Tree(top.removeprefix(LOCAL))
        found = [Recording(LOCAL + path, *known, None) for path, known in local.rows()]
        hidden = local.hidden
        say(local.links, "links to folders are not followed")
        say(local.twice, "links are left out: what they lead to has its own row")
    else:
        for status in statuses(spark, source):
            path = str(status.getPath().toString())
            below = path.removeprefix(top).strip("/").split("/")
            if below[-1].startswith("vmlinux"):
                continue
            if any(name.startswith(("_", ".")) for name in below):
                hidden.append(path)
            else:
                found.append(Recording(path, *of_status(status), None))
    say(hidden, "names are left out: those that begin with _ or . are taken for Spark's own (a list may name them)")
    if not found:
        raise NoInput(f"{source} has no recordings")
    return found


def say(paths: list[str], words: str) -> None:
    if paths:
        print(f"{len(paths)} {words}, as {min(paths).encode('utf-8', 'backslashreplace').decode()}", file=sys.stderr)


def of_list(spark: SparkSession, source: str, lines: list[str]) -> list[Recording]:
    """A path a line, then KEY=VALUE, between tabs; a line that is none ends the job before it begins."""
    found: dict[str, Recording] = {}
    for number, line in enumerate(lines, 1):
        text, *words = line.rstrip("\r").split("\t")
        if not text.strip() or text.startswith("#"):
            continue
        try:
            if "\ufffd" in line:
                raise ValueError("this is not UTF-8")
            given = labels(words)
            system, path = (None, unsigned(text)) if text.startswith(URLS) else file_system(spark, text)
        except (ValueError, Py4JError, PySparkException) as error:
            said = str(getattr(error, "java_exception", error))
            raise NoInput(f"{source}, line {number}: {said}") from None
        name = str(path)
        if name in found:
            raise NoInput(f"{source}, line {number}: {name} is there twice")
        known = absent("") if system is None else of_path(system, path)
        found[name] = Recording(name, *known, given, text if system is None else None)
    if not found:
        raise NoInput(f"{source} names no recordings")
    with ThreadPoolExecutor(ASKED) as pool:
        return list(pool.map(lambda one: of_server(one, one.url) if one.url else one, found.values()))


def of_server(named: Recording, url: str) -> Recording:
    return Recording(named.path, *ask(url), named.labels, url)


def of_path(system: Any, path: Any) -> Facts:
    """As its file system says. Of this machine Python is asked, which knows more names than Java."""
    name = str(path)
    if name.startswith(LOCAL):
        return look(name.removeprefix(LOCAL))
    try:
        status = system.getFileStatus(path)
    except Py4JJavaError as error:
        kind = str(error.java_exception.getClass().getName())
        return absent(NOT_THERE if kind == "java.io.FileNotFoundException" else f"could not be looked up: {error.java_exception.getMessage()}")
    if status.isDirectory():
        return absent("is a folder: one that is a recording (raw buffers, perf record --threads) is read where executors see it as a "
                      "path, not from here; copy it there")
    return of_status(status)


def of_status(status: Any) -> Facts:
    return Facts(int(status.getLen()), facts.time(int(status.getModificationTime())))


def labels(words: list[str]) -> dict[str, str]:
    """As analyze --label takes them."""
    given: dict[str, str] = {}
    for fact in words:
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
