extension Generation {
  /// The generation with this name or id ("5.8", "G4"); also any kernel release that falls
  /// between two of them ("5.15", "6.1.0-18-arm64").
  public init?(named text: String) {
    if let exact = Self.all.first(where: {
      $0.name == text || $0.id.lowercased() == text.lowercased()
    }) {
      self = exact
      return
    }
    self.init(release: text)
  }

  /// The generation of a mainline release ("6.1.192", `uname -r`). A weak mark: trees carry backports.
  public init?(release: String) {
    let numbers = release.split(separator: ".", maxSplits: 2).prefix(2)
      .map { $0.prefix { $0.isASCII && $0.isNumber } }
    guard numbers.count == 2, let major = Int(numbers[0]), let minor = Int(numbers[1]) else {
      return nil
    }
    switch (major, minor) {
    case (5, 0), (5, 1): self = .g0
    case (5, 2...7): self = .g3
    case (5, 8): self = .g4
    case (5, 9...15): self = .g4Live
    case (5, 16...), (6, ..<5): self = .g5
    case (6, 5..<10): self = .g5Protected
    case (6, 10...), (7..., _): self = .g6
    default: return nil
    }
  }
}
