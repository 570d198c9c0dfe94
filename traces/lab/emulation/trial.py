"""check-kernel as a program among others: run, and what it left read."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import Any

CHECK = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../ci/check-kernel")
VERDICTS = {0: "clean", 1: "wrong", 2: "not judged", 3: "not tried"}


@dataclass
class Trial:
    """A document is empty where there is none."""

    code: int
    check: dict[str, Any]
    analysis: dict[str, Any]
    truth: dict[str, Any]

    @property
    def verdict(self) -> str:
        return VERDICTS.get(self.code, str(self.code))

    @property
    def tests(self) -> dict[str, dict[str, Any]]:
        return {test["name"]: test for test in self.check.get("tests", [])}

    @property
    def correctness(self) -> dict[str, str]:
        """Rule to what is printed of it."""
        found: dict[str, str] = {}
        for finding in self.analysis.get("findings", []):  # the surest first
            if finding["correctness"]:
                found.setdefault(finding["rule"], f"{finding['rule']} ({finding['level']}, {finding['count']})")
        return found

    def failed(self, name: str) -> str:
        test = self.tests.get(name, {})
        return str(test["words"]).replace("the code is wrong: ", "").replace("|", "/") \
            if test.get("status") == "failed" else "nothing"


def split(words: list[str]) -> tuple[list[str], list[str]]:
    """A command line: its own words, and behind -- those that are check-kernel's."""
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1:]


def run(out: str, words: list[str]) -> Trial:
    """words: of check-kernel's command line, but for --out."""
    with subprocess.Popen([CHECK, *words, "--out", out], stdout=subprocess.DEVNULL) as running:
        try:
            code = running.wait()
        except BaseException:  # it clears away what it has
            running.terminate()
            running.wait()
            raise
    return _trial(code, out)


def read(out: str) -> Trial | None:
    """What an earlier run has left there, if it came to its end and could try the kernel."""
    code = _read(out + "/check.json").get("exitCode")
    return _trial(code, out) if code in (0, 1, 2) else None


def _trial(code: int, out: str) -> Trial:
    return Trial(code, *(_read(f"{out}/{name}.json") for name in ("check", "analysis", "truth")))


def _read(path: str) -> dict[str, Any]:
    document: dict[str, Any] = {}
    if os.path.exists(path):
        with open(path) as file:
            document = json.load(file)
    return document
