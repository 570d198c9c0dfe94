public import Ptrauth

extension KernelImage {
  /// Checks the code of the key switch against the patch: S1 to S17 of the checklist, each copy on its own.
  ///
  /// Everything is read from code, symbols and struct offsets; what cannot be judged says so. Throws if
  /// there are no symbols, as no function can be named then, no KVM, or not all of the code, or if symbols
  /// and code, or BTF and DWARF, contradict each other in what the answers rest on.
  /// - Parameter generation: whose design the code is held against; nil: the one that the marks name.
  public func audit(as generation: Generation? = nil) throws(KernelImageError) -> CodeAudit {
    try audit(as: generation, asking: Set(CodeCheck.Question.allCases))
  }

  /// - Parameter questions: the others may be left out: walking C code takes its time.
  package func audit(
    as generation: Generation? = nil, asking questions: Set<CodeCheck.Question>
  ) throws(KernelImageError) -> CodeAudit {
    try requireSymbols()
    guard !addresses(of: "__guest_enter").isEmpty else {
      throw KernelImageError(
        .noKVM, path,
        "has no __guest_enter: the kernel was built without KVM, so there is no key switch to check"
      )
    }
    try requireCode()
    let subject = AuditSubject(self, generation ?? generationEvidence().marked)
    try requireNoDoubt()
    let audit = judge(subject, asking: questions)
    try requireNoDoubt()
    return audit
  }

  /// What was found in a wrong place says nothing, neither good nor bad.
  private func requireNoDoubt() throws(KernelImageError) {
    if let doubt = codeDoubt ?? typeDoubt { throw doubt }
  }

  private func judge(
    _ subject: AuditSubject, asking questions: Set<CodeCheck.Question>
  ) -> CodeAudit {
    let kernel = KernelChecks(subject: subject)
    let sites = kernel.sites()
    var checks = [kernel.inventory(sites)]
    guard let generation = subject.generation, generation.hostSave != .never else {
      checks.append(
        CodeCheck(
          .keySet, subject.generation == nil ? .cannotJudge : .notApplicable, at: "__guest_enter",
          subject.generation == nil
            ? "the marks fit no generation of the key switch"
            : "no guest ptrauth in this generation"))
      return CodeAudit(checks: checks, sites: sites)
    }
    for copy in subject.copies where subject.switches(copy) || copy.prefix.isEmpty {
      checks += GuestSwitchChecks(subject: subject, copy: copy).checks
      if let guards = GuardChecks(subject: subject, copy: copy).check() { checks.append(guards) }
      if let cost = GuardChecks(subject: subject, copy: copy).cost() { checks.append(cost) }
    }
    checks += ActivationCheck(subject: subject).checks()
    checks += HypervisorKeyChecks(subject: subject).checks()
    checks += HostSaveChecks(subject: subject).checks(asking: questions)
    checks += [kernel.copies(), kernel.era()]
    checks += HypervisorPathChecks(subject: subject).checks()
    checks += guestChecks(subject, generation, asking: questions)
    checks += notes(subject)
    let order = CodeCheck.Question.allCases
    let sorted = checks.enumerated().sorted {
      let (a, b) = (
        order.firstIndex(of: $0.element.question), order.firstIndex(of: $1.element.question)
      )
      return a == b ? $0.offset < $1.offset : (a ?? 0) < (b ?? 0)
    }
    return CodeAudit(checks: sorted.map(\.element), sites: sites)
  }

  /// What guests are given besides keys: bits and traps of L2 guests, ID registers. Not every load comes through.
  private func guestChecks(
    _ subject: AuditSubject, _ generation: Generation, asking questions: Set<CodeCheck.Question>
  ) -> [CodeCheck] {
    var checks: [CodeCheck] = []
    if questions.contains(.nested) {
      checks.append(NestedBitsCheck(subject: subject, generation: generation).check())
    }
    if questions.contains(.forwarding) {
      checks.append(ForwardingCheck(subject: subject, generation: generation).check())
    }
    if questions.contains(.identity) { checks.append(IdentityCheck(subject: subject).check()) }
    for index in checks.indices {
      checks[index].part = .elsewhere
      // Where nothing confirms the types of another file, it may be they that are wrong.
      guard checks[index].outcome == .fail, hasForeignTypes else { continue }
      checks[index].outcome = .cannotJudge
      checks[index].rule = nil
      checks[index].statement += ", by types that nothing confirms"
    }
    return checks
  }

  /// Facts of a generation's design that are worth knowing.
  private func notes(_ subject: AuditSubject) -> [CodeCheck] {
    var notes: [CodeCheck] = []
    let labels = ["skip_switch_to_guest", "skip_switch_to_host"].filter {
      !addresses(of: $0).isEmpty
    }
    if !labels.isEmpty {
      notes.append(
        CodeCheck(
          .order, .note, at: labels.joined(separator: ", "),
          "named labels inside __guest_enter: profilers attribute its second half to them",
          rule: .namedLabels))
    }
    if subject.generation?.guardReads == .shadow {
      notes.append(
        CodeCheck(
          .bits, .note, at: "__guest_enter",
          "the guard reads the shadow in memory, the CPU obeys HCR_EL2", rule: .shadowNotLive))
    }
    return notes
  }
}
