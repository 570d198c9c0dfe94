/// What recordings are told apart by: their kernel, their labels. Groups come in the order of releases.
public struct Group: Sendable, Hashable, Comparable {
  /// From the most important.
  public var parts: [Part]
  /// Recordings were merged over all that is no part: nobody knows it any more. Else what is no part was not said.
  public var isMergedOver = false

  public enum Part: Sendable, Hashable {
    case kernel(Kernel)
    /// nil: a recording without this label.
    case label(Spelling, Spelling?)
    /// What the recordings were merged over before.
    case mergedOver(Grouping.Facet)
  }

  public struct Kernel: Sendable, Hashable {
    /// nil: not known.
    public var release: Spelling?
    public var buildID: Spelling?

    public init(release: String?, buildID: String?) {
      self.release = release.map(Spelling.init)
      self.buildID = buildID.map(Spelling.init)
    }
  }

  public init(_ parts: [Part], isMergedOver: Bool = false) {
    self.parts = parts
    self.isMergedOver = isMergedOver
  }

  /// - Parameter labels: any number of them; of two with one key the last counts.
  public init(_ kernel: Kernel?, labels: [(key: String, value: String?)]) {
    let values = Dictionary(
      labels.map { (Spelling($0.key), $0.value.map(Spelling.init)) }, uniquingKeysWith: { $1 })
    parts =
      (kernel.map { [.kernel($0)] } ?? [])
      + values.sorted { $0.key < $1.key }.map { .label($0.key, $0.value) }
  }

  public var kernel: Kernel? {
    for case .kernel(let kernel) in parts { return kernel }
    return nil
  }

  public var labels: [(key: String, value: String?)] {
    parts.compactMap {
      if case .label(let key, let value) = $0 { (key.text, value?.text) } else { nil }
    }
  }

  /// "6.1.0 (build-id b14dcc8328d1), board rock5"; as much of the build-id as git shows of a commit.
  public var words: String {
    let words = parts.map { part in
      switch part {
      case .kernel(let kernel): kernel.words
      case .label(let key, let value): "\(key.text) \(value?.text ?? "not said")"
      case .mergedOver(.kernel): "recordings merged over kernels"
      case .mergedOver(.label(let key)): "\(key) merged over"
      }
    }
    return words.isEmpty ? "all recordings" : words.joined(separator: ", ")
  }

  /// The same but for the kernel, which is of an older release. Those of one release, or of none that is known, are in
  /// no order.
  public func isOlder(than other: Self) -> Bool {
    guard parts.count == other.parts.count, let one = kernel?.release,
      let two = other.kernel?.release, one != two
    else { return false }
    let areAlike = zip(parts, other.parts).allSatisfy { part, other in
      switch (part, other) {
      case (.kernel, .kernel): true
      default: part == other
      }
    }
    return areAlike && VersionOrder.precedes(one.text, two.text)
  }

  public static func < (a: Self, b: Self) -> Bool {
    for (one, other) in zip(a.parts, b.parts) where one != other {
      return one.precedes(other)
    }
    return a.parts.count == b.parts.count
      ? !a.isMergedOver && b.isMergedOver : a.parts.count < b.parts.count
  }
}

extension Group.Kernel {
  public var words: String {
    let id = buildID.map { "build-id \($0.text.prefix(12))" }
    guard let release else { return id.map { "kernel of \($0)" } ?? "kernel not known" }
    return release.text + (id.map { " (\($0))" } ?? "")
  }
}

extension Group.Part {
  /// What is not known comes last, and behind it what was merged over.
  fileprivate func precedes(_ other: Self) -> Bool {
    func first(_ a: Spelling?, _ b: Spelling?) -> Bool {
      guard let a, let b else { return a != nil }
      return VersionOrder.precedes(a.text, b.text)
    }
    switch (self, other) {
    case (.kernel(let a), .kernel(let b)):
      return a.release == b.release
        ? first(a.buildID, b.buildID) : first(a.release, b.release)
    case (.label(let a, let one), .label(let b, let two)):
      return a == b ? first(one, two) : a < b
    case (.mergedOver(let a), .mergedOver(let b)): return Spelling(a.name) < Spelling(b.name)
    case (.mergedOver, _): return false
    case (_, .mergedOver), (.kernel, .label): return true
    case (.label, .kernel): return false
    }
  }
}
