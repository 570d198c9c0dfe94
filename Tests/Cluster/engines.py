"""Where the job runs: on a standalone cluster, as a lab has it, or in this process, which starts Java once."""

import contextlib
import os
import random
import re
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pyspark
from pyspark.sql import SparkSession

FLEET = Path(__file__).resolve().parents[2] / "traces" / "fleet"
SPARK = Path(pyspark.__file__).parent
# Most of a Java program of seconds is compiling itself.
BRIEF = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
# Seconds before what is silent is taken for dead: on a busy machine it is slow. What was killed is known by its connection.
PATIENCE = 900
# Spark's 200 partitions are for tables that do not fit in two workers, and its compiler for more rows than it has lines.
SMALL = {"spark.sql.shuffle.partitions": "4", "spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN",
         "spark.ui.enabled": "false", "spark.log.level": "ERROR", "spark.executor.memory": "512m",
         "spark.executor.extraJavaOptions": BRIEF, "spark.network.timeout": f"{PATIENCE}s"}


class Ran:
    """One job: its report, what it complained of, and its exit code."""

    def __init__(self, output: str, code: int, seconds: float) -> None:
        # Java writes both streams of a Python driver to its standard output.
        lines = output.splitlines(keepends=True)
        said = [line for line in lines if " new recordings, " in line]
        self.report = "".join(line for line in lines if line not in said)
        self.said = "".join(said)
        self.output, self.code, self.seconds = output, code, seconds


class Engine(Protocol):
    def run(self, words: list[str], kill: Path | None = None) -> Ran:
        """A job with these words; `kill`: its tables, of which the first batch is there when a worker dies."""

    def stop(self) -> None: ...


class Cluster:
    """A master and two workers, each a process group; jobs come by spark-submit."""

    def __init__(self, work: Path) -> None:
        self.environment = {**os.environ, "SPARK_HOME": str(SPARK), "SPARK_LOCAL_IP": "127.0.0.1",
                            "SPARK_LOCAL_DIRS": str(work / "local"), "PYSPARK_PYTHON": sys.executable,
                            "PYTHONDONTWRITEBYTECODE": "1", "SPARK_DAEMON_JAVA_OPTS": f"{BRIEF} -Dspark.worker.timeout={PATIENCE}",
                            "SPARK_LAUNCHER_OPTS": BRIEF}
        self.work = work
        self.port = random.randrange(20000, 30000)
        self.master = self.start("master", "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port",
                                 str(self.port), "--webui-port", "0")
        self.url = f"spark://127.0.0.1:{self.port}"
        self.workers = [self.worker(number) for number in range(2)]

    def worker(self, number: int) -> subprocess.Popen[bytes]:
        return self.start(f"worker{number}", "org.apache.spark.deploy.worker.Worker", "-c", "1", "-m", "1g", "--webui-port", "0", "-d",
                          str(self.work / f"worker{number}"), self.url)

    def start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        with open(self.work / f"{name}.log", "ab") as log:
            return subprocess.Popen([SPARK / "bin" / "spark-class", *words], env=self.environment, stdout=log, stderr=log,
                                    start_new_session=True)

    def run(self, words: list[str], kill: Path | None = None) -> Ran:
        for number, worker in enumerate(self.workers):
            if worker.poll() is not None:
                self.workers[number] = self.worker(number)
        start = time.monotonic()
        job = subprocess.Popen([SPARK / "bin" / "spark-submit", "--master", self.url, "--driver-java-options", BRIEF,
                                *(word for name, value in SMALL.items() for word in ("--conf", f"{name}={value}")), FLEET / "fleet.py", *words],
                               env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            if kill is not None:
                while not (kill / "reports" / "batch=0" / "_SUCCESS").exists():
                    if job.poll() is not None:
                        raise SystemExit(f"the job ended early:\n{job.communicate()[0]}")
                    time.sleep(0.05)
                time.sleep(1)
                if job.poll() is not None:
                    raise SystemExit("not so: the job is in its middle when a worker dies")
                os.killpg(self.workers[1].pid, signal.SIGKILL)
            output = job.communicate()[0]
        finally:
            job.kill()
        return Ran(output, job.returncode, time.monotonic() - start)

    def stop(self) -> None:
        for process in [*self.workers, self.master]:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class OneProcess:
    """Spark's own cluster of one machine for the first job: two workers, whose executors are processes. What comes behind it
    has no work for them."""

    def __init__(self, work: Path) -> None:
        os.environ |= {"SPARK_HOME": str(SPARK), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_DIRS": str(work / "local"),
                       "PYSPARK_PYTHON": sys.executable, "PYTHONDONTWRITEBYTECODE": "1", "SPARK_LAUNCHER_OPTS": BRIEF,
                       "SPARK_WORKER_DIR": str(work / "worker"), "PYSPARK_SUBMIT_ARGS": f"--driver-java-options '{BRIEF}' pyspark-shell"}
        self.work = work
        self.master = "local-cluster[2,1,1024]"

    def run(self, words: list[str], kill: Path | None = None) -> Ran:
        start = time.monotonic()
        session(self.master)  # fleet.py takes the one that is there, and stops it.
        self.master = "local[2]"
        killer = threading.Thread(target=kill_executor, args=(kill,)) if kill else None
        if killer:
            killer.start()
        with tempfile.TemporaryFile("w+", dir=self.work) as output:
            with both_streams(output.fileno()):
                code = script(words)
            output.seek(0)
            text = output.read()
        if killer:
            killer.join(timeout=1)
            if killer.is_alive():
                raise SystemExit(f"not so: the job is in its middle when a worker dies\n{text}")
        return Ran(text, code, time.monotonic() - start)

    def stop(self) -> None:
        """Java ends with this process."""


def session(master: str) -> SparkSession:
    return (SparkSession.builder.master(master).config("spark.sql.session.timeZone", "UTC")
            .config(map=dict[str, Any](SMALL)).getOrCreate())


def script(words: list[str]) -> int:
    """As spark-submit starts it: as the main program, of which executors get a copy of what is needed."""
    before, sys.argv = sys.argv, [str(FLEET / "fleet.py"), *words]
    sys.path.insert(0, str(FLEET))
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    finally:
        sys.argv = before
        sys.path.remove(str(FLEET))
    return 0


@contextlib.contextmanager
def both_streams(target: int) -> Iterator[None]:
    """Of this process and what it starts."""
    sys.stdout.flush()
    kept = [(stream, os.dup(stream)) for stream in (1, 2)]
    for stream, _ in kept:
        os.dup2(target, stream)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for stream, copy in kept:
            os.dup2(copy, stream)
            os.close(copy)


def kill_executor(out: Path) -> None:
    """Once the first batch is there: one that has a recording in hand."""
    while not (out / "reports" / "batch=0" / "_SUCCESS").exists():
        time.sleep(0.01)
    while True:
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError):
                words = (process / "cmdline").read_bytes()
                if b"\0analyze\0" not in words or os.fsencode(out.parent) not in words:
                    continue
                while b"CoarseGrainedExecutorBackend" not in (process / "cmdline").read_bytes():
                    # pid (name) state parent
                    process = Path("/proc", re.split(r"\) . ", (process / "stat").read_text())[1].split()[0])
                os.kill(int(process.name), signal.SIGKILL)
                return
        time.sleep(0.01)
