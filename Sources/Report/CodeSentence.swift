import Ptrauth
package import Replay

/// What the audit of the recorded kernel's code came to: one line of every report.
package struct CodeSentence {
  /// "17 checks, none failed; judged by it alone: partial-key-set, missing-isb".
  package var text: String
  /// What fails in code that nothing shows to have run; it makes no verdict.
  var warnings: [String]

  package init(_ judgement: CodeJudgement) {
    warnings = judgement.failuresElsewhere.map { check in
      (check.rule.map { "\($0.id) " } ?? "")
        + "in \(check.place), which nothing shows to have run: \(check.statement)"
    }
    guard let audit = judgement.audit else {
      text = "not audited: \(judgement.reason ?? "no reason is known")"
      return
    }
    func count(_ outcome: CodeCheck.Outcome) -> Int {
      audit.checks.count { $0.outcome == outcome }
    }
    let all = count(.pass) + count(.fail)
    text =
      "\(counted(UInt64(all), "check")), "
      + (count(.fail) == 0 ? "none failed" : "\(count(.fail)) failed")
    if let open = judgement.open.first {
      text += "; \(count(.cannotJudge)) cannot be judged: \(open.place), \(open.statement)"
      if count(.cannotJudge) > 1 { text += " ..." }
    }
    if !judgement.rules.isEmpty {
      text += "; judged by it alone: " + judgement.rules.map(\.id).joined(separator: ", ")
    }
  }

  /// "partial-key-set fails in kvm_variant_trap, which nothing shows to have run"; nil: nothing does.
  static func caveat(_ judgement: CodeJudgement) -> String? {
    let checks = judgement.failuresElsewhere
    guard !checks.isEmpty else { return nil }
    var rules: [String] = []
    var places: [String] = []
    for check in checks {
      let rule = check.rule?.id ?? "a check"
      if !rules.contains(rule) { rules.append(rule) }
      if !places.contains(check.place) { places.append(check.place) }
    }
    return enumerated(rules) + (rules.count == 1 ? " fails" : " fail") + " in "
      + "\(enumerated(places)), which nothing shows to have run"
  }
}

extension CodeLine {
  /// "0xffff800008060c60 <__guest_enter+0x70> 0xd5182100, arch/arm64/kvm/hyp/entry.S:64".
  var words: String {
    "\(hexadecimal(address))" + (symbol.map { " <\($0)>" } ?? "")
      + " \(text ?? hexadecimal(UInt64(word)))" + (source.map { ", \($0)" } ?? "")
  }
}

/// "375 proved", "1 static".
func levelWords(_ finding: Finding) -> String { "\(finding.count) \(finding.level.word)" }

/// How often, or in how many places: "375 times on 3 vCPUs", "in 1 place".
func occurrences(_ finding: Finding) -> String {
  finding.level == .static
    ? "in \(counted(finding.count, "place"))"
    : counted(finding.count, "time")
      + (finding.vcpus.count > 1 ? " on \(finding.vcpus.count) vCPUs" : "")
}
