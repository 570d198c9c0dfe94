import Ptrauth

/// S13 and S14: where EL2's code goes that is neither entry nor exit.
struct HypervisorPathChecks {
  let subject: AuditSubject

  func checks() -> [CodeCheck] { [calls()] + subject.copies.map(panic) }

  // MARK: calls

  /// Where nVHE's hypervisor is a part of its own, EL2 maps no other code of the kernel: a call into it is a panic.
  private func calls() -> CodeCheck {
    let place = "hyp text (nVHE)"
    let image = subject.image
    guard let text = range("__hyp_text_start", "__hyp_text_end"),
      subject.copies.contains(where: { $0.prefix == "__kvm_nvhe_" })
    else {
      return CodeCheck(
        .confinement, .notApplicable, at: place,
        "the hypervisor's code is the same for VHE and nVHE in this kernel")
    }
    guard let words = image.code(at: text.lowerBound, count: Int(text.count / 4)) else {
      return CodeCheck(.confinement, .cannotJudge, at: place, "the file lacks its code")
    }
    let mapped =
      [text] + [range("__hyp_idmap_text_start", "__hyp_idmap_text_end")].compactMap(\.self)
    var count = 0
    var out: (from: UInt64, to: UInt64)?
    for (index, word) in words.enumerated() {
      let from = text.lowerBound + UInt64(index) * 4
      guard let to = ControlFlow.target(word, from) else { continue }
      count += 1
      guard !mapped.contains(where: { $0.contains(to) }), out == nil else { continue }
      // Between functions lie padding and what alternatives put elsewhere.
      guard image.function(at: from) != nil, word & 0x7c00_0000 == 0x1400_0000 else { continue }
      out = (from, to)
    }
    guard let out else {
      return CodeCheck(
        .confinement, .pass, at: place, "\(count) branches and calls, none out of the text EL2 maps"
      )
    }
    let caller = image.function(at: out.from)?.name ?? "the hypervisor"
    let callee = image.function(at: out.to)?.name ?? "0x\(hex(out.to))"
    return CodeCheck(
      .confinement, .fail, at: caller,
      "branches to \(callee), in the kernel's text, which EL2 does not map: a panic when it runs",
      rule: .callOutOfHyp, lines: subject.lines([out.from - 4, out.from], marked: [out.from]))
  }

  private func range(_ start: String, _ end: String) -> Range<UInt64>? {
    guard let first = subject.image.addresses(of: start).first,
      let last = subject.image.addresses(of: end).first, first < last, last - first < 16 << 20
    else { return nil }
    return first..<last
  }

  // MARK: panic

  /// __guest_exit_panic: with a vCPU loaded, a panic at EL2 goes through __guest_exit, so that hyp_panic does not sign and
  /// authenticate with the guest's keys (7db21530479f, 5.10).
  private func panic(_ copy: AuditSubject.Copy) -> CodeCheck {
    let place = copy.place("__guest_exit_panic")
    guard let start = subject.image.addresses(of: copy.prefix + "__guest_exit_panic").first,
      let function = subject.image.function(at: start)
    else {
      return CodeCheck(
        .panic, .note, at: place,
        "there is none: before 7db21530479f (5.10) a panic at EL2 leaves with the keys it finds")
    }
    let whole = KernelFunctionSymbol(
      name: function.name, address: function.address, size: function.size, offset: 0)
    var toExit = subject.walk
    toExit.stopsBefore = copy.exit
    let walk = toExit.walk(from: start, in: whole)
    let ends = walk.ends.filter { $0.kind != .traps }.inOrder
    let past = ends.filter { $0.kind != .leaves(copy.exit) }
    guard walk.isComplete, !ends.isEmpty, !subject.walk.alternatives.isEmpty else {
      return CodeCheck(.panic, .cannotJudge, at: place, "not every path could be followed")
    }
    // Where the pointer to the loaded vCPU is.
    let running = subject.runningPointers(copy)
    // Without a vCPU loaded there are no guest keys: kvm_hyp_ctxt's pointer to it is zero.
    let isWrong = past.contains { end in
      !end.state.conditions.contains { condition in
        if case .bits(.word(let pointer), .max, isZero: true) = condition {
          pointer.symbol == .perCPU && (running.isEmpty || running.contains(pointer))
        } else {
          false
        }
      }
    }
    if isWrong {
      return CodeCheck(
        .panic, .fail, at: place,
        "goes to hyp_panic past __guest_exit with a vCPU loaded: the guest's keys stay in force",
        rule: .missedHostRestore,
        lines: subject.lines(stride(from: start, through: start + 32, by: 4)))
    }
    // Guest exit takes the vCPU in X1.
    let others = ends.filter { end in
      guard end.kind == .leaves(copy.exit), !running.isEmpty,
        case .address(let vcpu) = end.state[1], case .word(let pointer) = vcpu.symbol
      else { return false }
      return pointer.symbol == .perCPU && !(vcpu.offset == 0 && running.contains(pointer))
    }
    if let other = others.first {
      return CodeCheck(
        .panic, .fail, at: place,
        "goes through __guest_exit with another word of this CPU than the loaded vCPU's pointer in X1",
        rule: .missedHostRestore,
        lines: subject.lines(
          stride(from: start, through: start + 64, by: 4), marked: [other.state.pc]))
    }
    guard past.count < ends.count else {
      return CodeCheck(
        .panic, .fail, at: place,
        "no path goes through __guest_exit: the guest's keys stay in force",
        rule: .missedHostRestore,
        lines: subject.lines(stride(from: start, through: start + 32, by: 4)))
    }
    return CodeCheck(
      .panic, .pass, at: place, "with a vCPU loaded a panic goes through __guest_exit first",
      lines: subject.lines([start]))
  }
}
