import Ptrauth

// Who calls the code that sets API and APK, and what KVM does with the trapped instruction behind it.
extension EnableChecks {
  /// Faults alone: where the handlers are right, or their answers are not followed, that is no check of its own.
  func handlers(_ enablers: [String]) -> [CodeCheck] {
    [
      // An exit handler of 0 returns to user space with what nobody there answers.
      answer(
        "kvm_handle_ptrauth", isWrong: { $0 == 0 }, "hands user space a ptrauth trap"),
      // One that says true has stepped over the access (perform_access).
      answer(
        "trap_ptrauth", isWrong: { $0 & 0xff != 0 },
        "says that it emulated the access: the guest goes on without it"),
      uncalled(enablers),
    ].compactMap(\.self)
  }

  private func answer(
    _ name: String, isWrong: (UInt64) -> Bool, _ statement: String
  ) -> CodeCheck? {
    guard let function = named(name) else { return nil }
    let walk = subject.codeWalk.walk(from: function.address, in: function)
    let wrong = walk.ends.inOrder.first { end in
      guard end.kind == .returns, case .constant(let value) = end.state[0] else { return false }
      return isWrong(value)
    }
    guard let wrong else { return nil }
    return CodeCheck(
      .enable, .fail, at: name, statement, rule: .featureDenied,
      lines: subject.lines([wrong.state.pc - 4, wrong.state.pc], marked: [wrong.state.pc]))
  }

  /// The handler of EC 0x09 that the kernel runs comes to none of the functions that enable.
  private func uncalled(_ enablers: [String]) -> CodeCheck? {
    guard generation.hostSave != .hypTrap, generation.load == .clears,
      let handler = named("kvm_handle_ptrauth")
    else { return nil }
    let targets = Set(enablers.flatMap(subject.image.addresses))
    guard !targets.isEmpty, !targets.contains(handler.address) else { return nil }
    let parts = subject.image.functions(called: handler.name) + callees(of: handler)
    let isCalled = parts.contains { part in
      // Its caller may be a part of it: the bits are set there then.
      !orrs(in: part).isEmpty
        || !places(in: part) { instruction in
          switch instruction {
          case .call(let target), .branch(let target): targets.contains(target)
          default: false
          }
        }.isEmpty
    }
    guard !isCalled else { return nil }
    return CodeCheck(
      .enable, .cannotJudge, at: handler.name,
      "no call from the handler of a ptrauth trap to \(enablers.joined(separator: ", ")) was found: nothing may ever enable",
      lines: subject.lines([handler.address]))
  }

  private func named(_ name: String) -> KernelFunctionSymbol? {
    subject.image.functions(called: name).first { $0.name == name }
  }
}
