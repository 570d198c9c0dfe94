"""Analyses beside a log, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

from . import facts, log, score


class Outcome(IntEnum):
    """Exit codes of truth-check."""

    HOLDS = 0
    CONTRADICTS = 1
    UNMATCHED = 2  # no run of an analysis is in the log


class Empty(ValueError):
    """A log without a line: no guest ran."""


@dataclass
class Comparison:
    cpu: facts.Facts
    paths: list[str]
    analyses: list[score.Analysis]
    scores: list[score.Score]

    @property
    def outcome(self) -> Outcome:
        if any(result.contradict for result in self.scores):
            return Outcome.CONTRADICTS
        return Outcome.UNMATCHED if any(result.matched == 0 for result in self.scores) else Outcome.HOLDS

    def as_document(self) -> dict[str, object]:
        told = [{"path": path, "verdict": analysis.verdict, "rules": dict(sorted(analysis.rules.items())),
                 **result.as_document()}
                for path, analysis, result in zip(self.paths, self.analyses, self.scores)]
        return {"schema": "ptrauth-trace/truth/1", "cpu": self.cpu.as_document(), "analyses": told}

    def as_text(self) -> str:
        out: list[str] = []
        for path, analysis, result in zip(self.paths, self.analyses, self.scores):
            verdict = analysis.verdict or "no verdict"
            out += [f"{path}: {verdict}; {result.runs} runs told, {result.inside} in the log meanwhile",
                    f"{result.agree:10} as the CPU had them", f"{result.unknown:10} not wholly known",
                    f"{result.contradict:10} contradict the CPU",
                    *(f"           {words}" for words in result.examples),
                    f"{result.runs - result.matched:10} not found in the log", ""]
        out.append("What the CPU did")
        for entry in fields(self.cpu):
            number, rules = getattr(self.cpu, entry.name), entry.metadata["rules"]
            said = {rule: sum(analysis.rules[rule] for analysis in self.analyses) for rule in rules}
            told = ", ".join(f"{rule} {times}" for rule, times in said.items() if times)
            beside = f" (said: {told or 'nothing'})" if rules and (number or told) else ""
            out.append(f"{number:10} {entry.metadata['words']}{beside}")
        return "\n".join(out) + "\n"


def compare(analyses: list[str], path: str) -> Comparison:
    """analyses: the files of `analyze --format jsonl`; path: the log."""
    count, runs = facts.Count(), log.Runs()
    for line in log.read(path):
        count.consume(line)
        runs.consume(line)
    if not count.lines:
        raise Empty(f"{path} has no line of a log")
    told = [score.read(name) for name in analyses]
    return Comparison(count.facts, analyses, told, [score.score(analysis, runs.of) for analysis in told])
