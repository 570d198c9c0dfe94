"""Runs the program for one recording, within what that may take."""

import argparse
import contextlib
import os
import resource
import signal
import subprocess
from pathlib import Path

from pyspark import SparkFiles

# For the making of a summary, or the merging of a partition's, on a busy machine.
OWN_SECONDS = 3600
# The exit code of what was ended for its time, by the wall's clock; SIGXCPU is that of its threads' time.
TOO_LONG = -signal.SIGALRM


def heed() -> None:
    """SIGXCPU ends what is started here, whatever the parent of all thought of it."""
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGXCPU})


class Bounds:
    """What one recording may take, and where its kernel is."""

    def __init__(self, options: argparse.Namespace, kernels: str | None) -> None:
        self.program = Path(options.program).name
        self.seconds: int = options.seconds
        self.memory: int = options.memory << 20
        self.require: str | None = options.require
        self.kernels = kernels
        self.timeline: bool = options.timeline
        self.version: str = options.version

    def limit(self, child: int, seconds: int) -> None:
        """An end to what it may ask for, from its first moments on."""
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(child, resource.RLIMIT_AS, (self.memory, self.memory))
            # All threads' time together: a limit for what outlives this process.
            every = seconds * ((os.cpu_count() or 1) + 1)
            resource.prlimit(child, resource.RLIMIT_CPU, (every, every + 5))
            resource.prlimit(child, resource.RLIMIT_CORE, (0, 0))

    def run(self, words: list[str], folder: str) -> tuple[int, str]:
        """The exit code, or the negative signal, and the last line of what it complained of."""
        # --seconds is for what reads a recording: the others are short, and a job ends where one is ended.
        seconds = self.seconds if words[0] == "analyze" else max(self.seconds, OWN_SECONDS)
        environment = {"HOME": folder, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        if self.kernels:
            here = self.kernels if os.path.isabs(self.kernels) else SparkFiles.get(self.kernels)
            environment["PERF_BUILDID_DIR"] = here
        with open(os.path.join(folder, "complaints"), "w+b") as complaints:
            # In UTF-8, whatever the locale.
            child = subprocess.Popen([os.fsencode(SparkFiles.get(self.program)), *map(str.encode, words)], cwd=folder,
                                     env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=complaints,
                                     start_new_session=True, preexec_fn=heed)  # noqa: PLW1509 (one thread starts them)
            self.limit(child.pid, seconds)
            try:
                child.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                return TOO_LONG, ""
            complaints.seek(0)
            lines = complaints.read().decode(errors="replace").strip().splitlines()
        return child.returncode, lines[-1].removeprefix("ptrauth-trace: ") if lines else ""

    def why(self, code: int, complaint: str) -> str:
        """Why there is no report, in a sentence."""
        if code == TOO_LONG:
            return f"was ended after {self.seconds} s, which is what --seconds allows"
        if code == -signal.SIGXCPU:
            return f"was ended for the processor time of its threads, which is more than --seconds {self.seconds} of every core"
        if code == -signal.SIGKILL:
            return "the analysis was killed, as a machine does that has no memory left, or its operator"
        if code < 0:
            return f"the analysis was ended by signal {-code}; --memory allows {self.memory >> 20} MiB"
        return complaint or f"the analysis ended with exit code {code} and no report"
