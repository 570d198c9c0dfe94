import Ptrauth

/// S17: ID_AA64ISAR1_EL1 and ID_AA64ISAR2_EL1 as KVM makes them for a vCPU, with the fields of pointer authentication
/// cleared where it has not the feature. What userspace writes later is not in this code.
struct IdentityCheck {
  let subject: AuditSubject

  private struct Register {
    var name: String
    /// Op0, Op1, CRn, CRm, Op2.
    var encoding: [UInt64]
    /// Arm ARM, D19.2: APA, API, GPA and GPI; GPA3 and APA3.
    var fields: UInt64
  }

  private static let registers = [
    Register(name: "ID_AA64ISAR1_EL1", encoding: [3, 0, 0, 6, 1], fields: 0xff00_0ff0),
    Register(name: "ID_AA64ISAR2_EL1", encoding: [3, 0, 0, 6, 2], fields: 0xff00),
  ]

  func check() -> CodeCheck {
    let image = subject.image
    let names = ["__kvm_read_sanitised_id_reg", "kvm_read_sanitised_id_reg", "read_id_reg"]
    let found = names.lazy.compactMap { name in
      image.functions(called: name).first
    }.first
    guard let function = found else {
      return answer(
        .cannotJudge, at: "read_id_reg",
        "no symbol says where: neither read_id_reg nor kvm_read_sanitised_id_reg")
    }
    guard let reading = reading(function) else {
      return answer(
        .cannotJudge, at: function.name,
        "the compiler changed what it is given, and no caller of a known form was found")
    }
    let feature = VirtualFeature.pointerAuth(image, vcpu: 0)
    let descriptor = ["Op0", "Op1", "CRn", "CRm", "Op2"].compactMap { name in
      (try? image.offset(of: "sys_reg_desc." + name)).flatMap { Int64(exactly: $0) }
    }
    guard descriptor.count == 5, feature.isKnown, !subject.walk.alternatives.isEmpty
    else {
      return answer(
        .cannotJudge, at: function.name,
        "no struct offsets of sys_reg_desc and of the vCPU's features, or no alternatives")
    }
    var shown: [String] = []
    var lines: [UInt64] = []
    for register in Self.registers {
      var walk = subject.codeWalk
      walk.inlineLimit = 64
      walk.stopsBefore = reading.end
      walk.attention = Attention(
        follows: Set([function.address] + image.addresses(of: "limit_nv_id_reg")),
        facts: Dictionary(
          uniqueKeysWithValues: zip(descriptor, register.encoding).map {
            (Address(symbol: reading.descriptor, offset: $0), $1)
          }), tested: { _ in true }, testsAnyBits: true, isExact: true)
      let result = walk.walk(from: reading.function.address, in: reading.function)
      let judged = judge(register, result, reading, feature)
      switch judged {
      case .hidden(let places):
        shown.append(register.name)
        lines += places
      case .shown(let place, let words):
        return answer(.fail, at: function.name, "\(register.name): \(words)", [place])
      // Before 5.18 the kernel knows no such fields of the second register, and a file may not say.
      case .open, .unasked:
        let isSecond = register.name == Self.registers[1].name
        if isSecond, image.addresses(of: "id_aa64isar2_override").isEmpty { continue }
        if case .unasked(let place) = judged {
          return answer(
            .fail, at: function.name,
            "\(register.name): a way asks for no feature of the vCPU, and leaves the fields of pointer "
              + "authentication", [place])
        }
        guard case .open(let words) = judged else { continue }
        return answer(.cannotJudge, at: function.name, "\(register.name): \(words)")
      }
    }
    return answer(
      .pass, at: function.name,
      "\(shown.joined(separator: " and ")): without the feature the fields of pointer authentication are zero",
      lines)
  }

  /// Where the value is made, and from what.
  private struct Reading {
    var function: KernelFunctionSymbol
    /// The argument that points to struct sys_reg_desc.
    var descriptor: Symbol
    /// Behind the call that gives the value; nil: it is what the function returns.
    var end: UInt64?

    func isEnd(_ walked: WalkEnd) -> Bool {
      end.map { walked.kind == .leaves($0) } ?? (walked.kind == .returns)
    }
  }

  /// The function itself, or, where GCC gave it other arguments (read_id_reg.isra.0), a caller: get_id_reg or
  /// access_id_reg.
  private func reading(_ function: KernelFunctionSymbol) -> Reading? {
    guard [".isra", ".constprop", ".part"].contains(where: { function.name.contains($0) }) else {
      return Reading(function: function, descriptor: .argument(1))
    }
    for (name, argument) in [("get_id_reg", 1), ("access_id_reg", 2)] as [(String, UInt8)] {
      for place in subject.image.calls(of: function.address) {
        guard let caller = subject.image.function(at: place), caller.name == name else { continue }
        return Reading(
          function: KernelFunctionSymbol(
            name: caller.name, address: caller.address, size: caller.size, offset: 0),
          descriptor: .argument(argument), end: place + 4)
      }
    }
    return nil
  }

  private func answer(
    _ outcome: CodeCheck.Outcome, at place: String, _ statement: String, _ lines: [UInt64] = []
  ) -> CodeCheck {
    CodeCheck(.identity, outcome, at: place, statement, lines: subject.lines(lines))
  }

  private enum Judged {
    case hidden([UInt64])
    case shown(UInt64, String)
    /// The fields are left, and nothing was asked.
    case unasked(UInt64)
    case open(String)
  }

  private func judge(
    _ register: Register, _ result: PathWalk.Result, _ reading: Reading, _ feature: VirtualFeature
  ) -> Judged {
    let feature = feature.asked(by: result.ends)
    var places: [UInt64] = []
    var isOpen = !result.isComplete
    for end in result.ends.filter({ $0.kind != .traps }).inOrder {
      let value = Mixture(end.state.registers[0])
      let kept = value.map { $0.shift == 0 ? $0.support & register.fields : register.fields }
      switch feature.answer(end.state.conditions) {
      case .present, .impossible: continue
      case .absent:
        // A way that guessed may be another register's, and what another function made of it is not known.
        let isGuess = end.state.conditions.contains {
          if case .guess = $0 { true } else { false }
        }
        guard let kept, reading.isEnd(end), kept == 0 || !isGuess && isSanitised(value) else {
          isOpen = true
          continue
        }
        guard kept == 0 else {
          return .shown(
            end.state.pc,
            "the fields 0x\(hex(kept)) of pointer authentication are left to a vCPU without the feature"
          )
        }
        if !places.contains(end.state.pc) { places.append(end.state.pc) }
      case .unknown:
        guard kept != 0 else { continue }
        guard kept != nil, reading.isEnd(end), isSanitised(value),
          isPlain(end.state.conditions, reading)
        else {
          isOpen = true
          continue
        }
        return .unasked(end.state.pc)
      }
    }
    guard !places.isEmpty else { return .open("no test of the vCPU's feature was followed") }
    return isOpen ? .open("not every way could be followed") : .hidden(places)
  }

  /// It is made of what the kernel knows of the CPUs: of the result of read_sanitised_ftr_reg, or of a function that
  /// the file does not name.
  private func isSanitised(_ value: Mixture?) -> Bool {
    (value?.parts ?? []).allSatisfy { part in
      guard case .result(let place) = part.symbol,
        let word = subject.image.code(at: place, count: 1)?.first,
        case .call(let target) = A64Instruction(word, at: place)
      else { return false }
      let name = subject.image.symbols?.functionName(beginningAt: target)
      return name == nil || name == "read_sanitised_ftr_reg"
    }
  }

  /// Nothing was asked but what the CPU can do and which register it is.
  private func isPlain(_ conditions: Set<WalkCondition>, _ reading: Reading) -> Bool {
    conditions.allSatisfy { condition in
      switch condition {
      case .capability: true
      case .bits(.word(let address), _, _): address.symbol == reading.descriptor
      case .bits, .guess: false
      }
    }
  }
}
