public import Explorer
import Ptrauth

/// `verify` on a terminal: the verdict, what was explored, every invariant, the counterexamples.
public enum VerificationText {
  /// - Parameter isVerbose: every counterexample, not only the shortest and the longest; isStrict: known defects are
  ///   violations.
  public static func render(
    _ verification: Verification, style: Style, isVerbose: Bool = false, isStrict: Bool = false
  ) -> String {
    var page = Page(style)
    page.sentence(verdict(verification, style, isStrict: isStrict))
    page.line()
    page.paragraph("generation  ", words(verification.setting.standard))
    page.paragraph(
      "era         ", "\(verification.setting.era.name): \(verification.setting.era.description)")
    page.paragraph("setting     ", words(verification.setting))
    if let fault = verification.fault {
      page.paragraph("fault       ", "\(fault.name): \(fault.words)")
      page.paragraph("            ", shown(fault))
    }
    page.paragraph("explored    ", explored(verification))
    for exploration in verification.explorations {
      page.paragraph("            ", classes(exploration, of: verification.explorations.count))
    }
    page.heading("Invariants")
    for (invariant, outcome) in verification.outcomes {
      page.paragraph("  \(invariant.id.padded(5))\(mark(outcome, style))  ", invariant.words)
      if case .inapplicable(let why) = outcome { page.paragraph("                  ", "(\(why))") }
    }
    for defect in KnownDefect.all {
      let found = verification.knownDefects.filter { $0.0 == defect }.map(\.1)
      guard !found.isEmpty else { continue }
      page.heading("Broken by design: \(found.map(\.invariant.id).joined(separator: ", "))")
      page.paragraph("  ", defect.words + ".")
      page.paragraph(
        "  ", "Ended by \(defect.fixedBy) (\(defect.fixedWords)): with that change alone they hold."
      )
      traces(isVerbose ? found : longest(found), &page)
    }
    let violations = verification.violations
    if !violations.isEmpty {
      page.heading("Violated: \(violations.map(\.invariant.id).joined(separator: ", "))")
      traces(isVerbose ? violations : shortest(violations) + longest(violations), &page)
    }
    return page.text
  }

  /// What a recording of the fault would show.
  private static func shown(_ fault: Fault) -> String {
    if let rule = fault.rule { return "analyze reports it from a recording as \(rule.id)" }
    return "no recording shows it" + (fault.hidden.map { ": \($0)" } ?? "")
  }

  static func verdict(
    _ verification: Verification, _ style: Style, isStrict: Bool = false
  ) -> String {
    let ids = verification.violations.map(\.invariant.id).joined(separator: ", ")
    let known = verification.knownDefects.map(\.1.invariant.id).joined(separator: ", ")
    if !ids.isEmpty { return style.red("VIOLATED") + ": \(ids)" }
    if isStrict, !known.isEmpty {
      return style.red("VIOLATED") + ": \(known), by known defects of this generation"
    }
    if !verification.isComplete { return style.yellow("UNDECIDED") + ": more states than --limit" }
    return style.green("HOLDS")
      + (known.isEmpty ? "" : ", but for known defects of this generation: \(known)")
  }

  private static func words(_ generation: Generation) -> String {
    "\(generation.name) (\(generation.id)), \(generation.origin)"
  }

  static func words(_ setting: Setting) -> String {
    var words = counted(setting.features.count, "vCPU") + " ("
    words += setting.features.map(self.words).joined(separator: ", ") + "), "
    words += counted(setting.cpus, "pCPU") + ", " + counted(setting.tasks, "other host task") + "; "
    words +=
      setting.isOneVMM
      ? "all vCPU threads of one process; " : "every vCPU thread a process of its own; "
    words +=
      setting.preemptsHandler
      ? "the host's trap handler preemptible between any two steps"
      : "the host's trap handler not preempted"
    return words + (setting.isNested ? "; nested guests" : "")
  }

  static func words(_ feature: Feature) -> String {
    switch feature {
    case .both: "ptrauth"
    case .none: "no ptrauth"
    case .partial: "one of two features"
    case .unknown: "unknown"
    }
  }

  private static func explored(_ verification: Verification) -> String {
    "\(counted(verification.stateCount, "state")), "
      + "\(counted(verification.transitionCount, "transition")), depth \(verification.depth)"
      + (verification.isComplete ? ": all there are" : ": not all; see --limit")
      + (verification.useCount == 0 ? "; no guest ever gets to use pointer authentication" : "")
  }

  private static func classes(_ exploration: Exploration, of count: Int) -> String {
    let name = exploration.registers.first?.name ?? ""
    let alike = exploration.registers.count
    let words =
      alike == 10
      ? "all ten, which the code and the host treat alike"
      : exploration.registers.map(\.name).joined(separator: ", ")
    return "\(name) for \(words)"
      + (count > 1 ? ": \(counted(exploration.stateCount, "state"))" : "")
  }

  private static func mark(_ outcome: Verification.Outcome, _ style: Style) -> String {
    switch outcome {
    case .holds: style.green("holds".padded(11))
    case .inapplicable: style.dim("no meaning".padded(11))
    case .knownDefect: style.yellow("by design".padded(11))
    case .violated: style.red("violated".padded(11))
    case .undecided: style.yellow("undecided".padded(11))
    }
  }

  private static func shortest(_ found: [Counterexample]) -> [Counterexample] {
    found.min { $0.steps.count < $1.steps.count }.map { [$0] } ?? []
  }

  /// The longest, unless the shortest is as long.
  private static func longest(_ found: [Counterexample]) -> [Counterexample] {
    guard let longest = found.max(by: { $0.steps.count < $1.steps.count }) else { return [] }
    if found.count > 1, shortest(found).first?.steps.count == longest.steps.count { return [] }
    return [longest]
  }

  private static func traces(_ found: [Counterexample], _ page: inout Page) {
    var isFirst = true
    for counterexample in found {
      if !isFirst { page.line() }
      isFirst = false
      let name = counterexample.registers.first?.name ?? ""
      page.paragraph(
        "  ",
        "\(counterexample.invariant.id) in \(counted(counterexample.steps.count, "step")), seen by \(name):"
      )
      for line in counterexample.lines {
        let head = "  [\(line.cpu)] \(line.task.padded(6)) \(line.event.padded(19)) "
        page.paragraph(
          head,
          line.detail
            + (line.broken.isEmpty ? "" : "  <== \(line.broken.map(\.id).joined(separator: ", "))"))
      }
    }
  }
}

private func counted(_ count: Int, _ noun: String) -> String { counted(UInt64(count), noun) }
