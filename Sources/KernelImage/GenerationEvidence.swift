extension GenerationEvidence {
  /// Fewer decided marks than this name nothing: an image without KVM would look like an old one.
  private static let decidedAtLeast = 6
  /// A generation that contradicts one mark is still chosen if every other contradicts this many more.
  private static let clearMargin = 3

  /// Looks for every mark of `GenerationRow.all` and chooses the generation they agree on.
  package init(of image: KernelImage) {
    let rows = GenerationRow.all
    let outcomes = rows.map { image.outcome(of: $0.probe) }
    let chosen = image.hasKVM ? GenerationEvidence.choose(rows, outcomes) : nil
    generation = chosen?.rawValue
    marks = zip(rows, outcomes).map { row, outcome in
      GenerationMark(
        description: row.description, outcome: outcome,
        consistent: chosen.map { !row.contradicts(outcome, in: $0) } ?? true)
    }
  }

  static func choose(
    _ rows: [GenerationRow], _ outcomes: [GenerationMark.Outcome]
  ) -> GenerationColumn? {
    guard outcomes.count(where: { $0 != .undecidable }) >= decidedAtLeast else { return nil }
    let ranked = GenerationColumn.allCases
      .map { column in
        (
          column: column,
          contradictions: zip(rows, outcomes).count { $0.contradicts($1, in: column) }
        )
      }
      .sorted { $0.contradictions < $1.contradictions }
    guard let best = ranked.first, let next = ranked.dropFirst().first else { return nil }
    switch best.contradictions {
    case 0: return next.contradictions > 0 ? best.column : nil
    case 1: return next.contradictions >= 1 + clearMargin ? best.column : nil
    default: return nil
    }
  }
}

extension GenerationRow {
  func contradicts(_ outcome: GenerationMark.Outcome, in column: GenerationColumn) -> Bool {
    switch (expectation(in: column), outcome) {
    case (.present, .absent), (.absent, .found): true
    default: false
    }
  }
}

extension KernelImage {
  /// Whether there is a KVM to speak of.
  fileprivate var hasKVM: Bool {
    !addresses(of: "kvm_arch_vcpu_load").isEmpty && !addresses(of: "__guest_enter").isEmpty
  }

  fileprivate func outcome(of probe: GenerationRow.Probe) -> GenerationMark.Outcome {
    switch probe {
    case .symbol(let name): symbolOutcome([name])
    case .anySymbol(let names): symbolOutcome(names)
    case .member(let path): memberOutcome(path)
    case .enumerator(let name, let enumeration):
      if !hasType("enum " + enumeration) {
        .undecidable
      } else {
        enumerator(name, in: enumeration) != nil ? .found : .absent
      }
    case .instruction(let matches, let functions): instructionOutcome(matches, functions)
    }
  }

  private func hasType(_ name: String) -> Bool { (try? size(of: name)) != nil }

  private func symbolOutcome(_ names: [String]) -> GenerationMark.Outcome {
    guard hasSymbols else { return .undecidable }
    let found = names.contains { !addresses(of: $0).isEmpty || !functions(called: $0).isEmpty }
    return found ? .found : .absent
  }

  private func memberOutcome(_ path: String) -> GenerationMark.Outcome {
    do throws(KernelImageError) {
      _ = try offset(of: path)
      return .found
    } catch {
      // Absent is only a member that a known struct lacks.
      return error.code == .noSuchMember ? .absent : .undecidable
    }
  }

  private func instructionOutcome(
    _ matches: (UInt32) -> Bool, _ names: [String]
  ) -> GenerationMark.Outcome {
    guard hasSymbols else { return .undecidable }
    var unread = false
    for function in names.flatMap({ functions(called: $0) }) {
      guard let words = words(of: function), !words.isEmpty else {
        unread = true
        continue
      }
      if words.contains(where: matches) { return .found }
    }
    return unread ? .undecidable : .absent
  }
}
