/// `kvm_vcpu.arch.ctxt.sys_regs[APIAKEYLO_EL1]`, taken apart.
struct MemberPath {
  struct Step {
    let member: String
    /// What stands in the brackets: numbers or enumerators, outermost dimension first.
    let indices: [String]
  }

  let type: String
  let steps: [Step]

  /// Nil unless the text is `type.member[index].member...`.
  init?(_ text: String) {
    var parts = text.split(separator: ".", omittingEmptySubsequences: false)[...]
    guard let type = parts.popFirst(), MemberPath.isName(type) else { return nil }
    var steps: [Step] = []
    for part in parts {
      let pieces = part.split(separator: "[", omittingEmptySubsequences: false)
      guard let member = pieces.first, MemberPath.isName(member) else { return nil }
      var indices: [String] = []
      for piece in pieces.dropFirst() {
        guard piece.last == "]", MemberPath.isName(piece.dropLast(), orNumber: true) else {
          return nil
        }
        indices.append(String(piece.dropLast()))
      }
      steps.append(Step(member: String(member), indices: indices))
    }
    self.type = String(type)
    self.steps = steps
  }

  /// A C identifier, with `struct ` or `union ` in front if you like.
  private static func isName(_ text: Substring, orNumber: Bool = false) -> Bool {
    var text = text
    for keyword in ["struct ", "union "] where text.hasPrefix(keyword) {
      text = text.dropFirst(keyword.count)
    }
    guard let first = text.utf8.first else { return false }
    if !orNumber, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) { return false }
    return text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
        true
      default: false
      }
    }
  }
}
