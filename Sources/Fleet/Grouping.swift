/// `--by`: which of their facts recordings are told apart by.
public struct Grouping: Sendable, Hashable {
  public enum Facet: Sendable, Hashable {
    case kernel
    case label(String)

    /// As it is written on the command line.
    public var name: String {
      switch self {
      case .kernel: "kernel"
      case .label(let key): "label:\(key)"
      }
    }
  }

  /// nil: by all that there is.
  public var facets: [Facet]?

  public static let everything = Grouping(facets: nil)
  public static let kernels = Grouping(facets: [.kernel])

  public init(facets: [Facet]?) { self.facets = facets }

  /// "kernel,label:board"; nil if it is no such list.
  public init?(_ text: String) {
    var facets: [Facet] = []
    for word in text.split(separator: ",", omittingEmptySubsequences: false) {
      let facet: Facet
      if word == "kernel" {
        facet = .kernel
      } else if word.hasPrefix("label:"), Self.isKey(word.dropFirst(6)) {
        facet = .label(String(word.dropFirst(6)))
      } else {
        return nil
      }
      guard !facets.contains(facet) else { return nil }
      facets.append(facet)
    }
    self.facets = facets
  }

  /// What a label may be called.
  public static func isKey(_ text: some StringProtocol) -> Bool {
    !text.isEmpty
      && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "_-.".contains($0)) }
  }

  /// What of a group is looked at.
  public func group(_ group: Group) -> Group {
    guard let facets else { return group }
    return Group(
      facets.map { facet -> Group.Part in
        if let part = group.parts.first(where: { $0.facet == facet }) { return part }
        if group.isMergedOver { return .mergedOver(facet) }
        switch facet {
        case .kernel: return .kernel(Group.Kernel(release: nil, buildID: nil))
        case .label(let key): return .label(Spelling(key), nil)
        }
      }, isMergedOver: true)
  }

  /// By the kernel too.
  public var withKernels: Grouping {
    guard let facets, !facets.contains(.kernel) else { return self }
    return Grouping(facets: facets + [.kernel])
  }
}

extension Group.Part {
  /// What it tells recordings apart by.
  public var facet: Grouping.Facet {
    switch self {
    case .kernel: .kernel
    case .label(let key, _): .label(key.text)
    case .mergedOver(let facet): facet
    }
  }
}
