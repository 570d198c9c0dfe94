"""What was tested and what came out: as KTAP, as JUnit, as JSON, and as an exit code."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from xml.etree import ElementTree


class Status(enum.Enum):
    PASSED = "passed"
    FAILED = "failed"  # the key switch is wrong
    UNJUDGED = "unjudged"  # what was recorded does not tell
    UNTRIED = "untried"  # the kernel is not built, does not boot, panics, hangs, has no KVM
    SKIPPED = "skipped"  # not asked for, or not come to


# In the order in which they decide; the numbers of `--exit-code` standard, bisect and kselftest.
EXIT_CODES = {
    Status.FAILED: {"standard": 1, "bisect": 1, "kselftest": 1},
    Status.UNTRIED: {"standard": 3, "bisect": 125, "kselftest": 4},
    Status.UNJUDGED: {"standard": 2, "bisect": 125, "kselftest": 4},
    Status.PASSED: {"standard": 0, "bisect": 0, "kselftest": 0},
}
DIALECTS = ["standard", "bisect", "kselftest"]
VERDICTS = {Status.FAILED: "the key switch is wrong", Status.UNTRIED: "the kernel could not be tried",
            Status.UNJUDGED: "it cannot be judged", Status.PASSED: "clean"}


@dataclass
class Test:
    name: str
    status: Status
    words: str = ""
    lines: list[str] = field(default_factory=list)  # what goes with it: console lines, a comparison
    ktap: str = ""  # tests of its own
    junit: str = ""  # a file of its own suites


@dataclass
class Results:
    kernel: str
    seed: int
    tests: list[Test] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, status: Status, words: str = "", lines: list[str] | None = None) -> Test:
        test = Test(name, status, words, lines or [])
        self.tests.append(test)
        return test

    @property
    def verdict(self) -> Status:
        return next((status for status in EXIT_CODES if any(test.status is status for test in self.tests)),
                    Status.UNJUDGED)

    def exit_code(self, dialect: str) -> int:
        return EXIT_CODES[self.verdict][dialect]

    @property
    def sentence(self) -> str:
        """The verdict, and the beginning of the words that give it."""
        reasons = [f"{test.name}: {test.words.split('; ')[0]}"
                   for test in self.tests if test.status is self.verdict and test.words]
        told = "; ".join(reasons) if self.verdict is not Status.PASSED else ""
        return f"{self.kernel}: {VERDICTS[self.verdict]}" + (f" ({told})" if told else "")

    @property
    def times(self) -> str:
        return ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.seconds.items())

    def as_ktap(self) -> str:
        out = ["KTAP version 1", f"1..{len(self.tests)}"]
        for number, test in enumerate(self.tests, 1):
            out += ["  " + line for line in test.ktap.splitlines()]
            out += [f"# {test.name}: {line}" for line in test.lines]
            good = "ok" if test.status in (Status.PASSED, Status.SKIPPED) else "not ok"
            kind = {Status.SKIPPED: "SKIP ", Status.UNJUDGED: "ERROR ", Status.UNTRIED: "ERROR "}.get(test.status, "")
            words = " ".join(test.words.split())
            out.append(f"{good} {number} {test.name}" + (f" # {kind}{words}" if words or kind else ""))
        out.append(f"# {self.sentence}")
        out.append(f"# seed {self.seed}; {self.times}")
        return "\n".join(out) + "\n"

    def as_junit(self) -> str:
        suites = ElementTree.Element("testsuites", name="check-kernel")
        suite = ElementTree.SubElement(suites, "testsuite", name="check-kernel", tests=str(len(self.tests)))
        kinds = {Status.FAILED: "failure", Status.UNJUDGED: "error", Status.UNTRIED: "error", Status.SKIPPED: "skipped"}
        for kind, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            suite.set(attribute, str(sum(kinds.get(test.status) == kind for test in self.tests)))
        for test in self.tests:
            case = ElementTree.SubElement(suite, "testcase", classname="check-kernel", name=test.name)
            if test.status in kinds:
                said = ElementTree.SubElement(case, kinds[test.status], message=_printable(test.words))
                said.text = _printable("\n".join(test.lines)) or None
            if test.junit:
                suites.extend(ElementTree.fromstring(test.junit).findall("testsuite"))
        ElementTree.indent(suites)
        return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"

    def as_text(self) -> str:
        out = [self.sentence, f"seed {self.seed}; {self.times}", ""]
        for test in self.tests:
            out.append(f"{test.status.value:9} {test.name}" + (f": {test.words}" if test.words else ""))
            out += [f"          {line}" for line in test.lines]
        return "\n".join(out) + "\n"

    def as_document(self, dialect: str) -> dict[str, object]:
        return {
            "schema": "ptrauth-trace/check/1", "kernel": self.kernel, "verdict": self.verdict.value,
            "sentence": self.sentence, "exitCode": self.exit_code(dialect), "seed": self.seed,
            "seconds": {name: round(seconds, 1) for name, seconds in self.seconds.items()},
            "tests": [{"name": test.name, "status": test.status.value, "words": test.words, "lines": test.lines}
                      for test in self.tests],
        }


def _printable(text: str) -> str:
    """XML has no control characters but these; a console may have any."""
    return "".join(c if c in "\n\t" or (c >= " " and c not in "\x7f\ufffe\uffff") else "?" for c in text)
