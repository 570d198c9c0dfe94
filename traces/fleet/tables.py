"""What of a report goes into which column. Times are nanoseconds, as in the report; null is not known."""

import json
from collections.abc import Iterator
from typing import Any

from pyspark.sql import Row

REPORTS = ("path string, length bigint, modified timestamp, labels map<string,string>, require string, exit_code int, "
           "seconds double, report string, summary string, timeline string")
RECORDINGS = ("path string, board string, labels map<string,string>, modified timestamp, bytes bigint, exit_code int, "
              "seconds double, verdict string, reason string, release string, build_id string, scheme string, "
              "events bigint, events_missing boolean, duration bigint, judged int, breakable int, redundant bigint, "
              "accesses bigint, version string, summary string")
FINDINGS = ("path string, rule string, level string, severity string, correctness boolean, count bigint, place string, "
            "reads bigint, writes bigint, trips bigint, statement string")
COUNTERS = ["loads", "puts", "runs", "knownRuns", "enabledRuns", "undefs", "resets", "hostSaves", "keySwitches",
            "guestTime"]
# Which rule is not judged where these are not seen.
COUNTED_BY = {"keySwitches": "redundant-switch", "hostSaves": "redundant-host-save"}
VCPUS = ("path string, vm int, vmm string, vcpu int, tid int, feature string, pac_traps bigint, register_traps bigint, "
         "hidden_traps bigint, " + ", ".join(f"{name} bigint" for name in COUNTERS))
TIMELINE = "path string, line string"

# A pass that switches keys reads and writes 30 registers, a save of the host's reads 10 (the patch's macros).
PASS, SAVE = 30, 10


def fit(row: dict[str, Any]) -> dict[str, Any]:
    """Without numbers that no column holds: a damaged recording's clock may say anything."""
    return {name: None if isinstance(value, int) and abs(value) >= 1 << 63 else value for name, value in row.items()}


def document(row: Row) -> dict[str, Any]:
    """A report; one of several recordings does not occur here."""
    parsed: dict[str, Any] = json.loads(row.report)
    return parsed


def unseen(report: dict[str, Any]) -> set[str]:
    """Rules that its events cannot show. Where switches or saves of keys are not seen, none counted is not none."""
    return {hidden["rule"] for hidden in report.get("notObservable", []) if hidden.get("applies", True)}


def counted(vcpu: dict[str, Any], hidden: set[str]) -> dict[str, Any]:
    """What a vCPU's counters count: as merge, nothing where nothing is seen."""
    return {name: None if COUNTED_BY.get(name) in hidden else vcpu["counters"][name] for name in COUNTERS}


def recording(row: Row) -> dict[str, Any]:
    """Every recording has its row, whatever became of it."""
    report = document(row)
    facts, kernel = report["recording"], report.get("kernel", {})
    counters = [vcpu["counters"] for vcpu in report.get("vcpus", [])]
    costs = [finding for finding in report.get("findings", []) if not finding["correctness"] and finding["cost"]]
    judged = report.get("judged", {})
    blind = "vcpus" not in report or "redundant-switch" in unseen(report)
    begin, end = facts.get("begin"), facts.get("end")
    return fit({
        "path": row.path, "board": row.labels.get("board"), "labels": row.labels, "modified": row.modified,
        "bytes": row.length, "exit_code": row.exit_code, "seconds": row.seconds, "verdict": report["verdict"],
        "reason": report.get("error") or report.get("obstacle") or report.get("reason"),
        "release": facts.get("osrelease"), "build_id": kernel.get("recordedBuildId") or kernel.get("buildId"),
        "scheme": kernel.get("generation"), "events": facts.get("eventsUsed"),
        "events_missing": facts.get("eventsMissing"),
        "duration": None if begin is None or end is None else end - begin,
        "judged": judged.get("rules"), "breakable": judged.get("of"),
        "redundant": None if blind else sum(cost["cost"]["reads"] + cost["cost"]["writes"] for cost in costs
                                            if cost["rule"] != "lazy-thrash"),
        "accesses": None if blind else sum(PASS * c["keySwitches"] + SAVE * c["hostSaves"] for c in counters),
        "version": report["toolVersion"], "summary": row.summary,
    })


def findings(row: Row) -> Iterator[dict[str, Any]]:
    """One row for a rule at a level, as in the report."""
    for finding in document(row).get("findings", []):
        cost = finding["cost"] or {}
        yield fit({"path": row.path, "place": finding.get("source"),
               **{name: finding[name] for name in ["rule", "level", "severity", "correctness", "count", "statement"]},
               **{name: cost.get(name) for name in ["reads", "writes", "trips"]}})


def vcpus(row: Row) -> Iterator[dict[str, Any]]:
    """One row for a vCPU."""
    report = document(row)
    hidden = unseen(report)
    for vcpu in report.get("vcpus", []):
        traps = vcpu["counters"]["traps"]
        yield fit({"path": row.path, "vm": vcpu["pid"], "vmm": vcpu["vmm"], "vcpu": vcpu["vcpuId"], "tid": vcpu["tid"],
               "feature": vcpu["feature"], "pac_traps": traps["pac"], "register_traps": traps["keyRegister"],
               "hidden_traps": traps["hidden"], **counted(vcpu, hidden)})
