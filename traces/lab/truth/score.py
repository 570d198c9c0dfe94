"""The timeline of an analysis (`analyze --format jsonl`) laid beside the runs of a log."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .log import Bits, Run

NEAR = 200_000  # nanoseconds that a run may begin off its place
BIN = 4000
SAMPLES = 40  # runs of a vCPU that vote for the difference of the clocks
EXAMPLES = 3
ENDS = (("entry", 0), ("exit", 1))


@dataclass(slots=True)
class Told:
    """A run as the analysis has it. A bit that it does not know is None."""

    enter: int
    exit: int
    thread: int
    api: list[int | None]
    apk: list[int | None]


@dataclass
class Analysis:
    runs: dict[int | tuple[str, int], list[Told]] = field(default_factory=dict)  # by vCPU, or by thread
    verdict: str = ""
    rules: Counter[str] = field(default_factory=Counter)  # findings


def read(path: str) -> Analysis:
    analysis = Analysis()
    with open(path) as file:
        for text in file:
            line: dict[str, Any] = json.loads(text)
            kind = line.get("type")
            if kind == "run":
                key = int(line["vcpu"], 16) if line.get("vcpu") else ("thread", line["tid"])
                told = Told(line["enter"], line.get("exit") or line["enter"], line["tid"], line["api"], line["apk"])
                analysis.runs.setdefault(key, []).append(told)
            elif kind == "finding":
                analysis.rules[line["rule"]] += 1
            elif kind == "verdict":
                analysis.verdict = line["verdict"]
    for runs in analysis.runs.values():
        runs.sort(key=lambda told: told.enter)
    return analysis


@dataclass
class Score:
    runs: int = 0
    matched: int = 0
    agree: int = 0  # all four bits known, and as the CPU had them
    unknown: int = 0  # not all known; those that are, are right
    contradict: int = 0
    inside: int = 0  # runs of the log in the time that the timeline covers
    examples: list[str] = field(default_factory=list)

    def as_document(self) -> dict[str, object]:
        return {"runs": self.runs, "matched": self.matched, "agree": self.agree, "unknown": self.unknown,
                "contradict": self.contradict, "unmatched": self.runs - self.matched, "truthInside": self.inside,
                "examples": self.examples}


def score(analysis: Analysis, truth: dict[int, list[Run]]) -> Score:
    result = Score(runs=sum(len(runs) for runs in analysis.runs.values()))
    offset = _clock_offset(analysis, truth)
    if offset is None:
        return result
    for key, runs in analysis.runs.items():
        if isinstance(key, tuple):  # the vCPU whose entries coincide most
            pairs = max((_pair(runs, real, offset) for real in truth.values()), key=len, default=[])
        else:
            pairs = _pair(runs, truth.get(key, []), offset)
        for told, real in pairs:
            _compare(result, told, real)
    begins = [runs[0].enter for runs in analysis.runs.values()]
    ends = [runs[-1].enter for runs in analysis.runs.values()]
    low, high = min(begins) - NEAR - offset, max(ends) + NEAR - offset
    result.inside = sum(low <= run.time <= high for runs in truth.values() for run in runs)
    return result


def _compare(result: Score, told: Told, real: Run) -> None:
    result.matched += 1
    known = True
    wrong: list[str] = []
    for end, at in ENDS:
        live: Bits = real.entry if at == 0 else real.exit
        for name, said, cpu in (("API", told.api[at], live[0]), ("APK", told.apk[at], live[1])):
            if said is None:
                known = False
            elif said != cpu:
                wrong.append(f"{name} at {end} of the run at {told.enter} ns, thread {told.thread}: told {said}")
    if wrong:
        result.contradict += 1
        result.examples += wrong[:EXAMPLES - len(result.examples)]
    elif known:
        result.agree += 1
    else:
        result.unknown += 1


def _clock_offset(analysis: Analysis, truth: dict[int, list[Run]]) -> int | None:
    """Both clocks tick alike. The most common difference between a run and any of its vCPU in the log."""
    votes: Counter[int] = Counter()
    everything = [run.time for runs in truth.values() for run in runs]
    for key, runs in analysis.runs.items():
        times = everything if isinstance(key, tuple) else [run.time for run in truth.get(key, [])]
        for told in runs[::max(1, len(runs) // SAMPLES)]:
            enter = told.enter
            votes.update([(enter - time) // BIN for time in times])
    if not votes:
        return None
    best = max(votes, key=lambda at: (votes[at] + votes[at - 1] + votes[at + 1], -at))
    return best * BIN + BIN // 2


def _pair(runs: list[Told], truth: list[Run], offset: int) -> list[tuple[Told, Run]]:
    """Each run with the one of the log that begins while it lasts, or nearest to its beginning; both in order."""
    result = []
    at, end = 0, len(truth)
    for told in runs:
        enter = told.enter - offset
        while at < end and truth[at].time < enter - NEAR:
            at += 1
        if at == end:
            break
        # One that belongs to a run before this one may be near, too.
        while at + 1 < end and abs(truth[at + 1].time - enter) <= abs(truth[at].time - enter):
            at += 1
        if truth[at].time <= max(enter + NEAR, told.exit - offset):
            result.append((told, truth[at]))
            at += 1
    return result
