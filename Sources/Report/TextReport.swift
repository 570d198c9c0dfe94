import Ptrauth
import Replay

/// The terminal report: the verdict first, then findings, worst first, then the tables.
public enum TextReport {
  /// - Parameter isVerbose: lists the marks of the generation and every event's count.
  public static func render(_ document: Document, style: Style, isVerbose: Bool = false) -> String {
    var page = Page(style)
    verdict(document, &page)
    header(document, &page, isVerbose)
    findings(document, &page)
    known(document.analysis, &page)
    costs(document, &page)
    vcpus(document, &page)
    if let passes = document.analysis.passes {
      page.line()
      PassReport(path: document.recording.path, passes).write(to: &page)
    }
    notObservable(document, &page)
    return page.text
  }

  private static func verdict(_ document: Document, _ page: inout Page) {
    let sentence = VerdictSentence(document)
    let word =
      switch sentence.tone {
      case .good: page.style.green(sentence.word)
      case .doubtful: page.style.yellow(sentence.word)
      case .bad: page.style.red(sentence.word)
      }
    page.sentence("\(word)\(sentence.caveat): \(sentence.rest)")
  }

  private static func header(_ document: Document, _ page: inout Page, _ isVerbose: Bool) {
    let facts = document.recording
    let kernel = document.kernel
    let analysis = document.analysis
    page.line()
    page.paragraph(
      "recording  ",
      "\(facts.path) (\(facts.format), \(size(facts.byteCount)), "
        + "\(duration(analysis.lastTime - min(analysis.firstTime, analysis.lastTime))), "
        + "\(document.eventWords), "
        + "\(counted(UInt64(analysis.cpuCount), "pCPU")), clock \(facts.clock))")
    page.paragraph(
      "kernel     ",
      ([[facts.osRelease, facts.architecture].compactMap(\.self).joined(separator: " ")]
        .filter { !$0.isEmpty } + [kernel.path ?? "no vmlinux"]).joined(separator: "; "))
    page.paragraph("           ", kernel.match)
    if let generation = kernel.generation {
      page.paragraph(
        "scheme     ",
        "\(generation.name) (\(generation.id)), from \(kernel.generationBasis)"
          + marksSummary(kernel.marks))
    } else {
      page.paragraph("scheme     ", "not known: \(kernel.generationBasis)")
    }
    if isVerbose {
      for mark in kernel.marks {
        page.paragraph(
          "             ",
          "\(mark.outcome.padded(9)) \(mark.description)"
            + (mark.isConsistent ? "" : "  <- does not fit"))
      }
      for event in facts.events {
        page.paragraph("             \(String(event.count).right(9)) ", event.name)
      }
    }
    for guest in facts.guests {
      page.paragraph("guest      ", guest.words(hostBegins: analysis.firstTime))
    }
    let code = CodeSentence(analysis.code)
    page.paragraph("code       ", code.text)
    for warning in code.warnings { page.paragraph("           ", warning) }
    if let selection = SelectionSentence(analysis) {
      page.paragraph("filtered   ", selection.text)
    }
    losses(document, &page)
    for item in analysis.requiredInVain {
      page.paragraph(
        "required   ", "\(item.rule.id) cannot be broken here, and is fulfilled: \(item.reason)")
    }
    // The first line says it already.
    for warning in facts.warnings where warning != document.obstacle {
      page.paragraph("warning    ", warning)
    }
  }

  /// Which marks they are is for -v; those that do not fit are said.
  private static func marksSummary(_ marks: [KernelFacts.Mark]) -> String {
    let odd = marks.filter { !$0.isConsistent }
    guard !odd.isEmpty else { return "" }
    return "; against it: " + odd.map(\.description).joined(separator: ", ")
  }

  private static func losses(_ document: Document, _ page: inout Page) {
    let losses = LossSentences(document)
    if !losses.missing.isEmpty {
      page.paragraph("missing    ", losses.missing.joined(separator: ", "))
    }
    for doubt in losses.doubts { page.paragraph("silent     ", doubt) }
  }

  private static func findings(_ document: Document, _ page: inout Page) {
    let analysis = document.analysis
    for finding in analysis.findings where finding.rule.isCorrectness && !analysis.isKnown(finding)
    {
      page.line()
      let rule = finding.rule
      let mark = "\(rule.severity.name), \(finding.level.word)"
      page.paragraph(page.style.red(rule.id) + "  ", "\(mark), \(occurrences(finding))")
      let names = analysis.places(finding)
      if !names.isEmpty { page.paragraph("  on ", names.joined(separator: "; ")) }
      page.paragraph("  ", finding.statement + ".")
      for cause in finding.causes {
        page.paragraph(
          "  ",
          "Follows from \(cause.rule.id), \(cause.count) of \(finding.count): look there first.")
      }
      page.paragraph("  => ", rule.consequence + ".")
      for evidence in finding.evidence { event(evidence, &page) }
      for line in finding.code { page.paragraph("    ", line.words) }
      if let source = document.kernel.sources[rule.id] { page.paragraph("  in ", "\(source)") }
      page.paragraph("  look at ", rule.lookAt + ".")
    }
  }

  /// One line each.
  private static func known(_ analysis: Analysis, _ page: inout Page) {
    guard let known = analysis.known else { return }
    let sentence = KnownSentence(analysis)
    page.heading("Known: \(sentence.text ?? "")")
    for finding in analysis.findings where known.contains(finding) {
      page.paragraph(
        "  \(finding.rule.id.padded(20)) ",
        "\(finding.rule.severity.name), \(finding.level.word), \(occurrences(finding))")
    }
    for gone in sentence.gone { page.paragraph("  ", gone) }
  }

  private static func event(_ evidence: Evidence, _ page: inout Page) {
    let moment = evidence.moment
    let place =
      "    \(seconds(moment.time).right(16)) [\(String(moment.cpu).right(3))] "
      + "\(String(moment.tid).right(6))  "
    page.paragraph(place, "\(evidence.event)  \(evidence.detail)")
  }

  private static func costs(_ document: Document, _ page: inout Page) {
    let costs = document.analysis.findings.filter { !$0.rule.isCorrectness }
    guard !costs.isEmpty else { return }
    page.heading("What it cost")
    for finding in costs {
      var words = costWords(finding, document.kernel)
      if finding.level == .suspected { words += " (suspected)" }
      page.paragraph("  \(finding.rule.id.padded(20)) ", "\(finding.rule.title): \(words)")
    }
  }

  private static func vcpus(_ document: Document, _ page: inout Page) {
    let vcpus = document.analysis.vcpus
    guard !vcpus.isEmpty else { return }
    page.heading("vCPUs")
    let analysis = document.analysis
    let names = VCPUNames(analysis)
    let needsPointers = !vcpus.allSatisfy(names.isAlone)
    var table = Table(
      columns: [
        .init("vcpu", 4), .init("tid", 7, turn: 4), .init("ptrauth", 8, turn: 5),
        .init("loads", 7, turn: 3), .init("runs", 7), .init("known", 6, turn: 6),
        .init("enabled", 8, turn: 7), .init("traps", 6), .init("saves", 6, turn: 1),
      ] + (needsPointers ? [.init("address", 19)] : []))
    for machine in analysis.machines {
      let isNamed = machine.vcpus.allSatisfy { $0.pid >= 0 }
      table.headings[table.rows.count] =
        machine.name + (isNamed ? "" : ": no process ids were recorded")
      for vcpu in machine.vcpus {
        table.rows.append(
          row(vcpu)
            + (needsPointers
              ? [
                names.isAlone(vcpu)
                  ? "" : vcpu.identity.pointer.map(hexadecimal) ?? "by thread"
              ] : []))
      }
    }
    table.write(to: &page)
    let lower = vcpus.reduce(into: CounterSet()) { $0.formUnion($1.counters.bounds.lower) }
    let isUnsampled = lower.contains(.enabledRuns)
    page.paragraph(
      "  ",
      "known: of the runs, those whose API and APK "
        + (isUnsampled
          ? "the traps tell at both ends (nothing samples them)"
          : "the shadow of HCR_EL2 tells at both ends (the register itself is in no event)")
        + "; enabled: those entered with a bit set; saves: of the host's keys, as the "
        + "traps that were answered imply"
        + (lower.isDisjoint(with: shownCounters) ? "." : "; >=: as many as the events prove."))
    if vcpus.contains(where: { $0.identity.kind == .thread }) {
      page.paragraph(
        "  ", "A vCPU \"by thread\" is one thread taken for one vCPU: usual, not certain.")
    }
    let switches = vcpus.reduce(0) { $0 + $1.counters.keySwitches }
    if switches == 0 { return }
    let isExact = !lower.contains(.keySwitches)
    page.paragraph(
      "  ",
      "\(isExact ? "Exactly" : "At least") \(counted(switches, "pass", "passes")) switched keys "
        + "(\(switches * Cost.switchedPass.accesses) register accesses)"
        + (isExact ? "." : "; the entry loop re-enters without an event."))
  }

  /// Those of the table's columns.
  private static let shownCounters: CounterSet = [
    .loads, .enabledRuns, .keyRegister, .hidden, .hostSaves,
  ]

  private static func row(_ vcpu: Analysis.VCPU) -> [String] {
    let c = vcpu.counters
    let feature =
      switch vcpu.feature {
      case .both: "yes"
      case .none: "no"
      case .partial: "partial"
      case .unknown: "?"
      }
    let known = c.runs == 0 ? "-" : "\(c.knownRuns * 100 / c.runs)%"
    func bounded(_ count: UInt64, _ counters: CounterSet) -> String {
      let sign =
        !c.bounds.upper.isDisjoint(with: counters)
        ? "<=" : c.bounds.lower.isDisjoint(with: counters) ? "" : ">="
      return sign + String(count)
    }
    return [
      vcpu.identity.number.map(String.init) ?? "?", String(vcpu.tid), feature,
      bounded(c.loads, .loads), String(c.runs), known, bounded(c.enabledRuns, .enabledRuns),
      bounded(c.instructionTraps + c.registerTraps + c.hiddenTraps, [.keyRegister, .hidden]),
      bounded(c.hostSaves, .hostSaves),
    ]
  }

  private static func notObservable(_ document: Document, _ page: inout Page) {
    let items = document.analysis.notObservable
    let hidden = items.filter(\.applies)
    if !hidden.isEmpty {
      page.heading("Not observable in this recording")
      for (rules, item) in byReason(hidden) {
        page.paragraph("  ", rules)
        page.paragraph("      ", "\(item.reason); \(item.remedy).")
      }
    }
    let impossible = items.filter { !$0.applies }
    if !impossible.isEmpty {
      page.heading("Cannot happen here")
      for (rules, item) in byReason(impossible) {
        page.paragraph("  ", "\(rules): \(item.reason).")
      }
    }
  }

  /// The rules that share a reason, in the order of the first.
  private static func byReason(
    _ items: [Analysis.NotObservable]
  ) -> [(rules: String, item: Analysis.NotObservable)] {
    var reasons: [String] = []
    for item in items where !reasons.contains(item.reason) { reasons.append(item.reason) }
    return reasons.map { reason in
      let same = items.filter { $0.reason == reason }
      return (same.map(\.rule.id).joined(separator: ", "), same[0])
    }
  }
}
