"""One kernel, from its files to a verdict: audit, boot, record, analyze, compare."""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from truth import comparison, emulator

from . import console, host, initramfs, vmm, workload
from .archive import RECORDERS, Archive
from .kernel import Kernel, bootable
from .results import Results, Status
from .trouble import Missing, Unbootable

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
UP_SHARE = 0.6  # of the minutes, for a kernel to come up
TRUTH_LOG = "truth.log.zst"
# Rules that leave the host with other keys than its own. On a kernel that signs its return addresses it then falls.
OTHER_KEYS = {
    "missed-host-save", "stale-enable", "missed-host-restore", "host-key-leak", "stale-host-context",
    "preemptible-host-save", "el2-keys-mixed", "partial-key-set", "missing-isb",
}


@dataclass(frozen=True)
class Options:
    tool: str
    out: str
    seed: int
    minutes: float
    guests: float  # seconds
    baseline: str | None
    require: str
    rules: str | None  # these alone make the kernel wrong
    known: str | None  # a list of `analyze --write-known`
    pcpus: int
    arguments: str  # of the kernel's command line
    vmm: list[str]  # options of vmm.c, one process each; empty: as the seed says
    truth: str | None  # a QEMU of truth/prepare, to hold the analysis against what its CPUs did


class Check:
    """scratch is the caller's, who removes it."""

    def __init__(self, kernel: Kernel, options: Options, scratch: str, progress: Callable[[str, float], None]) -> None:
        self.kernel = kernel
        self.options = options
        self.scratch = scratch
        self.progress = progress
        self.results = Results(kernel.name, options.seed)
        self.share = os.path.join(scratch, "share")
        self.blamed: set[str] = set()  # rules that the audit found broken
        self.rules = None if options.rules is None else {rule.strip() for rule in options.rules.split(",")}

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        self.progress(name, 0)
        begin = time.monotonic()
        try:
            yield
        finally:
            self.results.seconds[name] = self.results.seconds.get(name, 0) + time.monotonic() - begin

    def _tool(self, *words: str, output: str | None = None) -> tuple[int, str]:
        """Exit code, and what it says on standard error; what it prints goes to the file `output` in the out folder.

        Raises Missing if that file cannot be written: no later report could tell what is not in it.
        """
        paths = ["-o", os.path.join(self.options.out, output)] if output else []
        result = subprocess.run([self.options.tool, *words, *paths], check=False, capture_output=True, text=True)
        if paths and f"{paths[1]}: cannot be written" in result.stderr:
            raise Missing(result.stderr.strip().removeprefix("ptrauth-trace: "))
        if result.returncode == -signal.SIGKILL:
            raise Missing(f"ptrauth-trace {words[0]} was killed (too little memory?)")
        return result.returncode, result.stderr.strip()

    def run(self, archive: Archive) -> Results:
        with self._timed("audit"):
            self._audit()
        if self._record(archive):
            with self._timed("analyze"):
                self._analyze()
        else:
            self.results.add("analyze", Status.SKIPPED, "there is no recording")
        if os.path.exists(f"{self.options.out}/{TRUTH_LOG}"):
            with self._timed("truth"):
                self._ask_truth()
        self._compare()
        return self.results

    def _record(self, archive: Archive) -> bool:
        """Whether there is a recording. What the audit said holds also where the kernel cannot be booted."""
        try:
            with self._timed("build of the lab"):
                words = self._assemble(archive)
        except Unbootable as problem:
            self.results.add("boot", Status.UNTRIED, str(problem))
            self.results.add("record", Status.SKIPPED, "it was not come to")
            return False
        return self._came_through(self._boot(words))

    def _audit(self) -> None:
        code, told = self._tool("audit", self.kernel.vmlinux, "-q", output="audit.json")
        self._tool("audit", self.kernel.vmlinux, "-q", "--no-pager", "--color", "never", output="audit.txt")
        failed: list[dict[str, Any]] = []
        if code in (0, 1, 2) and os.path.exists(self.options.out + "/audit.json"):
            failed = [check for check in self._read("audit.json")["checks"] if check["outcome"] == "fail"]
        self.blamed = {check["rule"] for check in failed if check["rule"]}
        counted = [check for check in failed if self.rules is None or check["rule"] in self.rules]
        # A function may be there once for each mode of the hypervisor.
        said = list(dict.fromkeys(f"{check['id']} {check['title']}: {check['statement']}"
                                  for check in counted or failed))
        words = "; ".join(said) or "see audit.txt"
        if code == 0:
            self.results.add("audit", Status.PASSED)
        elif code == 1 and self.rules is not None and not counted:
            self.results.add("audit", Status.SKIPPED, f"other rules count: {words}")
        elif code == 1:
            self.results.add("audit", Status.FAILED, f"the code is wrong: {words}")
        elif os.path.exists(self.options.out + "/audit.json"):
            words = "not every check could be judged from this vmlinux: see audit.txt"
            self.results.add("audit", Status.SKIPPED, words)
        else:
            self.results.add("audit", Status.UNJUDGED, told or f"ended with {code}")

    def _read(self, name: str) -> dict[str, Any]:
        with open(os.path.join(self.options.out, name)) as file:
            document: dict[str, Any] = json.load(file)
        return document

    def _assemble(self, archive: Archive) -> list[str]:
        """What is booted. Returns QEMU's command line."""
        qemu = self.options.truth or host.QEMU
        if self.options.truth is not None:
            emulator.check(qemu)
        host.check_qemu(qemu)
        os.makedirs(self.share)
        system = archive.unpack(RECORDERS, "recorders-bookworm")
        files = initramfs.programs(system, ["perf"]) | initramfs.modules(self.kernel.modules)
        files |= {"init": initramfs.read(HERE + "/host/init"), "bin/vmm": initramfs.read(vmm.build(HERE, self.scratch))}
        initrd = os.path.join(self.scratch, "initrd")
        with open(initrd, "wb") as file:
            file.write(initramfs.archive(files))
        shutil.copy(HERE + "/host/check.sh", self.share + "/run.sh")
        with open(self.share + "/load.sh", "w") as text:
            text.write(workload.script(self.options.seed, self.options.guests, self.options.vmm))
        code, said = self._tool("probes", self.kernel.vmlinux, "--for", "perf", "-q",
                                output=os.path.join(self.share, "probes.sh"))
        if code != 0:
            self.results.add("probes", Status.UNJUDGED, said)
        return host.command(bootable(self.kernel.image, self.scratch), initrd, self.share, self.options.arguments,
                            self.options.pcpus, qemu)

    def _boot(self, words: list[str]) -> host.Outcome:
        limit = self.options.minutes * 60
        log = os.path.join(self.scratch, "truth.log")
        probes = self.share + "/probes.sh"
        environment: dict[str, str] = {}
        if self.options.truth is not None and os.path.exists(probes):
            environment = emulator.environment(self.kernel.vmlinux, probes, log, self.scratch)
        outcome = host.boot(words, os.path.join(self.options.out, "console.txt"), limit * UP_SHARE, limit,
                            self.progress, environment)
        if os.path.exists(log):
            emulator.pack(log, self.options.out + "/" + TRUTH_LOG)
        up = outcome.marks.get("recording", outcome.seconds)
        self.results.seconds["boot"] = up
        if "recording" in outcome.marks:
            self.results.seconds["record"] = outcome.seconds - up
        for name in ("log.txt", "perf.data", "warnings.txt"):
            if os.path.exists(f"{self.share}/{name}"):
                shutil.copy(f"{self.share}/{name}", self.options.out)
        return outcome

    def _log(self) -> list[str]:
        path = self.share + "/log.txt"
        return console.last_lines(initramfs.read(path).decode(errors="replace")) if os.path.exists(path) else []

    def _came_through(self, outcome: host.Outcome) -> bool:
        """Whether there is a recording; adds the tests boot, record and workload."""
        last = console.last_lines(outcome.console)
        fell = console.fall(outcome.console) if not outcome.reached("done") else None
        when = "while guests ran" if outcome.reached("recording") else "while it booted"
        status, words, lines = Status.PASSED, "", []
        if fell is not None:
            status, words = self._weigh(fell, outcome.reached("recording"))
            words, lines = f"panicked {when}: {words}", last
        elif outcome.hung:
            seen = "" if outcome.console.strip() else ", nothing was on its console"
            words, status, lines = f"hung {when}: given up after {outcome.seconds:.0f} s{seen}", Status.UNTRIED, last
        elif outcome.reached("no-folder"):
            words = ("it cannot share a folder with its emulator: CONFIG_NET_9P_VIRTIO, CONFIG_9P_FS and "
                     "CONFIG_VIRTIO_MMIO are needed; as modules with --modules DIR")
            status, lines = Status.UNTRIED, last
        elif not outcome.reached("done"):
            words, status, lines = f"stopped {when} without a word", Status.UNTRIED, last
        elif outcome.reached("no-kvm"):
            words = "it boots, and has no /dev/kvm: CONFIG_KVM, and EL2 left to the kernel"
            status, lines = Status.UNTRIED, [line for line in last if "kvm" in line.lower()] or last
        elif outcome.reached("no-kprobes"):
            words = "it boots, and has no kprobe_events in tracefs: CONFIG_KPROBE_EVENTS"
            status, lines = Status.UNTRIED, last
        booted = status is Status.PASSED or outcome.reached("recording")
        self.results.add("boot", Status.PASSED if booted else status, "" if booted else words, [] if booted else lines)
        if not booted:
            self.results.add("record", Status.SKIPPED, "it was not come to")
            return False
        if status is Status.PASSED and not os.path.exists(self.options.out + "/perf.data"):
            status, words, lines = Status.UNJUDGED, "the recorder failed", self._log()
        self.results.add("record", status, words, lines)
        self._ask_workload()
        return os.path.exists(self.options.out + "/perf.data")

    def _weigh(self, fell: console.Fall, guests: bool) -> tuple[Status, str]:
        """What a panic says of the key switch. guests: whether any can have run before it."""
        if not fell.authentication:
            return Status.UNTRIED, fell.words
        if not guests:
            return Status.UNTRIED, f"{fell.words}; no guest had run, so nothing had switched keys"
        reasons = self.blamed & OTHER_KEYS
        counted = OTHER_KEYS if self.rules is None else OTHER_KEYS & self.rules
        if not (reasons or OTHER_KEYS) & counted:
            return Status.UNTRIED, f"{fell.words}; other rules count than lead to it"
        if reasons:
            return Status.FAILED, f"{fell.words}; the audit says why: {', '.join(sorted(reasons & counted))}"
        return Status.FAILED, f"{fell.words}; the audit has no reason for it: this panic is the evidence"

    def _ask_workload(self) -> None:
        texts, troubles = [], []
        for path in sorted(glob.glob(self.share + "/vmm.*.txt")):
            text = initramfs.read(path).decode(errors="replace")
            texts.append(text)
            state = path.removesuffix("txt") + "status"
            code = initramfs.read(state).decode().strip() if os.path.exists(state) else "none"
            if code not in ("0", "1"):
                said = [line for line in text.splitlines() if line.startswith("vmm:")]
                troubles.append(f"vmm ended with {code}: {'; '.join(said) or 'no word'}")
        with open(self.options.out + "/workload.txt", "w") as file:
            file.write("".join(texts))
        total = workload.count(texts)
        if total.wrong and self.options.rules is not None:
            self.results.add("workload", Status.SKIPPED, "rules count: " + "; ".join(total.wrong))
        elif total.wrong:
            self.results.add("workload", Status.FAILED, "; ".join(total.wrong))
        elif troubles and self.results.tests[-1].status is Status.PASSED:
            self.results.add("workload", Status.UNJUDGED, "; ".join(dict.fromkeys(troubles)))
        elif total.vcpus:
            self.results.add("workload", Status.PASSED,
                             f"{total.vcpus} vCPUs, {total.rounds} rounds, every key as it was written")
        else:
            self.results.add("workload", Status.SKIPPED, "no VMM came to its end")

    def _analyze(self) -> None:
        out = self.options.out
        recording = os.path.join(out, "perf.data")
        words = ["analyze", "-q", "-k", self.kernel.vmlinux, recording]
        if self.options.require != "none":
            words += ["--require", self.options.require]
        if self.options.rules is not None:
            words += ["--rule", self.options.rules]
        if self.options.known is not None:
            words += ["--known", self.options.known]
        code, said = self._tool(*words, output="analysis.json")
        if not os.path.exists(out + "/analysis.json"):
            self.results.add("analyze", Status.UNJUDGED, said or f"ended with {code}")
            return
        self._tool(*words, output="analysis.html")
        for name, form in (("analysis.txt", "text"), ("analysis.ktap", "ktap"), ("analysis.xml", "junit")):
            self._tool("render", "-q", "--no-pager", out + "/analysis.json", "--format", form, output=name)
        status = {0: Status.PASSED, 1: Status.FAILED}.get(code, Status.UNJUDGED)
        reason = str(self._read("analysis.json").get("reason", ""))
        ktap = initramfs.read(out + "/analysis.ktap").decode()
        if status is Status.UNJUDGED and _needs_no_event(ktap, self.rules or set()):
            status, reason = Status.PASSED, f"judged by the code alone, or cannot happen here: {self.options.rules}"
        test = self.results.add("analyze", status, reason)
        test.ktap = ktap
        test.junit = initramfs.read(out + "/analysis.xml").decode()

    def _ask_truth(self) -> None:
        """What the CPU did beside what is said of it. What is wrong here is the analysis, not the kernel."""
        timeline = os.path.join(self.scratch, "analysis.jsonl")
        recording = self.options.out + "/perf.data"
        if os.path.exists(recording):
            self._tool("analyze", "-q", "-k", self.kernel.vmlinux, recording, "--format", "jsonl", output=timeline)
        there = os.path.exists(timeline)
        try:
            found = comparison.compare([timeline] if there else [], f"{self.options.out}/{TRUTH_LOG}")
        except comparison.Empty:
            self.results.add("truth", Status.SKIPPED, "no guest ran: the emulator's log is empty")
            return
        except (ValueError, KeyError) as problem:
            self.results.add("truth", Status.UNJUDGED, f"the emulator's log cannot be read: {problem}")
            return
        found.paths = ["analysis"] if there else []
        with open(self.options.out + "/truth.txt", "w") as file:
            file.write(found.as_text())
        with open(self.options.out + "/truth.json", "w") as file:
            json.dump(found.as_document(), file, indent=2)
        if not there:
            self.results.add("truth", Status.SKIPPED, "there is no analysis; what the CPU did is in truth.txt")
            return
        score = found.scores[0]
        words = {
            comparison.Outcome.HOLDS: f"{score.agree} of {score.runs} runs are told as the CPU had them, none otherwise",
            comparison.Outcome.CONTRADICTS: f"{score.contradict} of {score.runs} runs are not as the analysis tells",
            comparison.Outcome.UNMATCHED: "no run of the analysis is in the log",
        }[found.outcome]
        good = found.outcome is comparison.Outcome.HOLDS
        self.results.add("truth", Status.PASSED if good else Status.UNJUDGED, words, score.examples)

    def _compare(self) -> None:
        if self.options.baseline is None:
            return
        new = os.path.join(self.options.out, "analysis.json")
        if not os.path.exists(new):
            self.results.add("compare", Status.SKIPPED, "there is no recording")
            return
        with self._timed("compare"):
            old = os.path.join(self.options.baseline, "analysis.json")
            code, said = self._tool("compare", "-q", "--no-pager", old, "--", new, output="comparison.txt")
            self._tool("compare", "-q", old, "--", new, output="comparison.json")
        path = self.options.out + "/comparison.txt"
        text = initramfs.read(path).decode() if os.path.exists(path) else said
        status = {0: Status.PASSED, 1: Status.FAILED}.get(code, Status.UNJUDGED)
        first = next((line for line in text.splitlines() if line.strip()), "")
        self.results.add("compare", status, first, [] if status is Status.PASSED else text.splitlines())


def _needs_no_event(ktap: str, rules: set[str]) -> bool:
    """Whether each of these rules is fulfilled, and nothing else is required, as bisect-run has it."""
    cases = re.findall(r"^ *ok \d+ (\S+)(?: # (.*))?$", ktap, re.MULTILINE)
    good = {name for name, words in cases if not words.startswith("SKIP") or "SKIP cannot happen here" in words}
    return bool(rules) and rules <= good and not re.search(r"^ *not ok ", ktap, re.MULTILINE)
