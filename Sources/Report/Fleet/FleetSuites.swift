import Fleet
import Ptrauth
import Replay

/// Merged recordings as CI systems see them: a group is a suite, a rule a case.
///
///     broken, severity >= --fail-on                  failed
///     judged in some recording, and not broken       passed
///     only suspected, or judged, where events are missing   error
///     found, and known                               skipped
///     not judged in any                              skipped, and why
///     the case "recordings": some are no pass        error; so are lines that are no summary, in a suite of their own
///
/// So there are failures if and only if the exit code is 1, and without failures errors if and only if it is 2.
struct FleetSuites {
  struct Suite {
    var name: String
    /// nil: of the lines that are no summary.
    var group: Group?
    var tally: Tally
    var cases: [Case]
  }

  struct Case {
    var name: String
    /// nil: of the recordings themselves.
    var rule: Rule?
    var tally: RuleTally
    var result: TestCase.Result
    /// What there is to say of it, a line each.
    var lines: [String]
  }

  var suites: [Suite]

  init(_ report: FleetReport, name: String) {
    suites = report.rows.map { row in
      Suite(
        name: report.rows.count == 1 ? name : "\(name)/\(row.group.words)", group: row.group,
        tally: row.tally,
        cases: [Self.recordings(row.tally)]
          + Analysis.judgedRules.map { Self.rule($0, row.tally, report.failOn) })
    }
    let damaged = report.fleet.damaged
    if !damaged.isEmpty || report.total.recordings == 0 {
      let words =
        damaged.isEmpty
        ? "there is no recording"
        : "\(counted(damaged.total, "line")) that \(damaged.total == 1 ? "is" : "are") no summary: "
          + FleetReport.list(damaged)
      suites.append(
        Suite(
          name: "\(name)/input", group: nil, tally: Tally(),
          cases: [
            Case(name: "summaries", rule: nil, tally: RuleTally(), result: .error(words), lines: [])
          ]))
    }
  }

  func count(_ kind: TestCase.Result.Kind) -> Int {
    suites.reduce(0) { $0 + $1.cases.count { $0.result.kind == kind } }
  }

  private static func recordings(_ tally: Tally) -> Case {
    let troubles = FleetReport.list(tally.troubles, counts: true)
    return Case(
      name: "recordings", rule: nil, tally: RuleTally(),
      result: tally.open == 0
        ? .passed
        : .error(
          "\(tally.open) of \(counted(tally.recordings, "recording")) are no pass: \(troubles)"),
      lines: tally.openNames.isEmpty ? [] : ["recordings " + FleetReport.list(tally.openNames)])
  }

  private static func rule(_ rule: Rule, _ tally: Tally, _ failOn: Rule.Severity?) -> Case {
    let found = tally.rules[rule] ?? RuleTally()
    let broken = found.recordings(.broken)
    var lines: [String] = []
    if found.found > 0 {
      lines = [
        "broken in \(broken) of \(counted(found.judged, "recording")) that judge it, \(FleetReport.levels(found))",
        "recordings " + FleetReport.list(found.examples),
      ]
      if !found.places.isEmpty { lines.append("in " + FleetReport.list(found.places)) }
    }
    let silent = tally.silent(on: rule)
    if silent > 0, silent < tally.recordings {
      lines.append("not judged in \(counted(silent, "recording"))")
    }
    let result: TestCase.Result
    if broken > 0 {
      result =
        failOn.map { rule.severity >= $0 } ?? false
        ? .failed
        : rule.decidesVerdict
          ? .skipped(
            "found, and its severity \(rule.severity.name) is below --fail-on \(failOn?.name ?? "none")"
          )
          : .passed
    } else if found.recordings(.doubtful) > 0, rule.decidesVerdict {
      result = .error(
        "may only seem broken in \(counted(found.recordings(.doubtful), "recording")), as events are missing"
      )
    } else if found.recordings(.known) > 0,
      rule.decidesVerdict || failOn.map({ rule.severity >= $0 }) ?? false
    {
      result = .skipped("known, and does not count")
    } else if found.judged > 0 {
      result = .passed
    } else if found.recordings(.keptOutsideGaps) > 0 {
      result = .error("not broken outside the gaps, and events are missing")
    } else {
      let cannot = found.recordings(.impossible)
      result = .skipped(
        cannot > 0 && cannot == tally.recordings
          ? "cannot happen with this kernel or its guests"
          : found.reasons.isEmpty
            ? "no recording says anything of it" : FleetReport.list(found.reasons))
    }
    return Case(name: rule.id, rule: rule, tally: found, result: result, lines: lines)
  }
}
