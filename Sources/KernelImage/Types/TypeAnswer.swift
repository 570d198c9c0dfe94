/// What one source of types says to a question.
enum TypeAnswer: Equatable {
  case bytes(UInt64)
  /// The struct is known, and has no such member.
  case none
  case unknown

  init(_ ask: () throws(KernelImageError) -> UInt64) {
    do throws(KernelImageError) {
      self = .bytes(try ask())
    } catch {
      self = [.noSuchMember, .noSuchIndex].contains(error.code) ? .none : .unknown
    }
  }

  /// - Parameter question: of an enumerator that may be any enumeration's nothing is known: several have one of a name.
  init(_ layout: some StructOffsets, _ question: TypeQuestion) {
    switch question {
    case .offset(let path):
      self.init { () throws(KernelImageError) in try layout.offset(of: path) }
    case .size(let type):
      self.init { () throws(KernelImageError) in try layout.size(of: type) }
    case .enumerator(_, nil): self = .unknown
    case .enumerator(let name, let enumeration?):
      self =
        layout.enumerator(name, in: enumeration).map { .bytes(UInt64(bitPattern: $0)) } ?? .unknown
    }
  }

  func contradicts(_ other: TypeAnswer) -> Bool {
    switch (self, other) {
    case (.bytes(let a), .bytes(let b)): a != b
    case (.bytes, .none), (.none, .bytes): true
    default: false
    }
  }

  var words: String {
    switch self {
    case .bytes(let bytes): "at \(bytes)"
    case .none, .unknown: "missing"
    }
  }

  /// Of any question: a size is no place.
  fileprivate var number: String {
    switch self {
    case .bytes(let bytes): "\(Int64(bitPattern: bytes))"
    case .none, .unknown: "missing"
    }
  }
}

extension KernelImage {
  /// Throws `.damagedTypes` if BTF, which is believed, and DWARF have different answers: one was made from the other, so
  /// neither is this kernel's for certain. Asks each once; from the first contradiction on, nothing has an answer.
  func requireAgreement(on question: TypeQuestion) throws(KernelImageError) {
    if let typeDoubt { throw typeDoubt }
    guard compared.insert(question).inserted, let btf else { return }
    let first = TypeAnswer(StructLayout(source: btf, image: path), question)
    guard first != .unknown, let information else { return }
    let second = TypeAnswer(StructLayout(source: information, image: path), question)
    guard first.contradicts(second) else { return }
    let doubt = KernelImageError(
      .damagedTypes, path,
      "has BTF and DWARF that contradict each other: \(question) is \(first.number) by the one and "
        + "\(second.number) by the other; give the vmlinux as it was built")
    typeDoubt = doubt
    throw doubt
  }
}
