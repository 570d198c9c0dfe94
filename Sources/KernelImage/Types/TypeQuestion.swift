/// Something asked of a kernel's types. What was asked is kept: whoever compares the answers with another
/// source (`--all-units`, the tests with pahole) compares all that was used, and not a list that falls behind.
public enum TypeQuestion: Hashable, Sendable, CustomStringConvertible {
  /// Bytes from the start of a type to a member: "kvm_vcpu.arch.hcr_el2".
  case offset(String)
  /// Bytes of a type.
  case size(String)
  /// Value of an enumerator; of any enumeration if none is named.
  case enumerator(String, in: String?)

  public var description: String {
    switch self {
    case .offset(let path): path
    case .size(let type): "sizeof(\(type))"
    case .enumerator(let name, let enumeration): (enumeration.map { "enum \($0) " } ?? "") + name
    }
  }

  /// The type that a definition has to be found of.
  var root: String? {
    switch self {
    case .offset(let path): path.split(separator: ".").first.map(String.init)
    case .size(let type): type
    case .enumerator(_, let enumeration): enumeration
    }
  }
}

extension StructLayout {
  /// Nil: no answer, whatever the reason.
  func answer(to question: TypeQuestion) -> Int64? {
    switch question {
    case .offset(let path): (try? offset(of: path)).flatMap(Int64.init(exactly:))
    case .size(let type): (try? size(of: type)).flatMap(Int64.init(exactly:))
    case .enumerator(let name, let enumeration): enumerator(name, in: enumeration)
    }
  }
}
