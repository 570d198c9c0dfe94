"""Runs the program for one recording, within what that may take."""

import argparse
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

    def begin(self, seconds: int) -> None:
        """In the process to be: an end to what it may ask for, before it asks."""
        # SIGXCPU ends it, whatever the parent of all thought of that.
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGXCPU})
        # All threads' time together: a limit for what outlives the parent.
        every = seconds * ((os.cpu_count() or 1) + 1)
        resource.setrlimit(resource.RLIMIT_CPU, (every, every + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (self.memory, self.memory))

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
                                     start_new_session=True,
                                     preexec_fn=lambda: self.begin(seconds))  # noqa: PLW1509 (one thread starts them)
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
