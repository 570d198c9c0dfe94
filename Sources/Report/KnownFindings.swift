import Ptrauth
public import Replay

/// A baseline: findings that are known, and do not fail a run again. Keyed by rule, level and place in the kernel, so
/// that it outlives recordings and builds: no times, pointers, lines or paths of recordings.
///
///     schema, toolVersion   "ptrauth-trace/known/1"
///     findings              rule, level, places: "function (file)", where the rule is in the kernel's source; of a
///                           static finding, where it fails; empty where no vmlinux told. follows: the rule that most
///                           of it follows from, if any: with another cause it is another fault. One line each, sorted.
public struct KnownFindings: Sendable, Equatable {
  public struct Entry: Sendable, Hashable {
    public var rule: String
    public var level: Finding.Level
    public var places: [String]
    /// The rule that it follows from.
    public var follows: String?
  }
  public private(set) var entries: [Entry] = []

  public init() {}

  public mutating func add(_ document: Document) {
    for finding in document.analysis.findings {
      let entry = Entry(finding, in: document)
      if !entries.contains(entry) { entries.append(entry) }
    }
    func key(_ entry: Entry) -> String {
      ([entry.rule, entry.level.word] + entry.places + [entry.follows ?? ""]).joined(
        separator: "\u{0}")
    }
    entries.sort { key($0) < key($1) }
  }

  /// - Throws: it is no such list.
  public init(_ bytes: [UInt8]) throws(SavedFault) {
    let json: JSONValue
    do throws(JSONValue.Fault) { json = try JSONValue(bytes) } catch {
      throw SavedFault(description: "byte \(error.offset + 1): this is no JSON")
    }
    let saved = SavedObject(value: json, place: "")
    guard saved.textOrNull("schema") == JSONFormat.known.name else {
      throw SavedFault(description: "its schema is not \(JSONFormat.known.name)")
    }
    for item in try saved.objects("findings") {
      entries.append(
        Entry(
          rule: try item.text("rule"),
          level: try item.one("level", of: [.proved, .static, .suspected]) { $0.word },
          places: try item.texts("places"), follows: item.textOrNull("follows")))
    }
  }

  public var bytes: [UInt8] {
    var text = Array("{\n".utf8)
    var json = JSONWriter(pretty: false)
    func member(_ name: String, _ value: String) {
      json.clear()
      json.value(value)
      text += Array("  \"\(name)\": ".utf8) + json.bytes + Array(",\n".utf8)
    }
    member("schema", JSONFormat.known.name)
    member("toolVersion", ToolVersion.number)
    text += Array("  \"findings\": [".utf8)
    for (number, entry) in entries.enumerated() {
      json.clear()
      json.object { json in
        json.field("rule", entry.rule)
        json.field("level", entry.level.word)
        json.key("places")
        json.array { json in for place in entry.places { json.value(place) } }
        if let follows = entry.follows { json.field("follows", follows) }
      }
      text += Array((number == 0 ? "\n    " : ",\n    ").utf8) + json.bytes
    }
    return text + Array((entries.isEmpty ? "]\n}\n" : "\n  ]\n}\n").utf8)
  }

  /// A finding is known at the same level or a weaker one, at no place that is new.
  private func entry(of found: Entry) -> Entry? {
    entries.first {
      $0.rule == found.rule && found.level <= $0.level && $0.follows == found.follows
        && $0.places.isEmpty == found.places.isEmpty
        && found.places.allSatisfy($0.places.contains)
    }
  }

  /// Those that none of `found` is.
  public func missing(in found: KnownFindings) -> [Entry] {
    entries.filter { known in
      !found.entries.contains { $0.rule == known.rule && entry(of: $0) != nil }
    }
  }

  /// What of the document is known, and what is known and not there.
  public func known(in document: Document) -> Known {
    var found = KnownFindings()
    found.add(document)
    let analysis = document.analysis
    var known = Known()
    for finding in analysis.findings where entry(of: Entry(finding, in: document)) != nil {
      known.findings.append((finding.rule, finding.level))
    }
    known.gone = missing(in: found).map { entry in
      Known.Gone(
        rule: entry.rule, level: entry.level,
        isJudged: Rule(id: entry.rule).map(analysis.hasJudged) ?? false)
    }
    return known
  }
}

extension KnownFindings.Entry {
  fileprivate init(_ finding: Finding, in document: Document) {
    rule = finding.rule.id
    level = finding.level
    follows = finding.mainCause?.id
    guard finding.level == .static else {
      places = document.kernel.sources[rule].map { ["\($0.function) (\($0.file))"] } ?? []
      return
    }
    places = Set(
      finding.code.map { line in
        let file = line.source.map { source in
          " (\(source[..<(source.lastIndex(of: ":") ?? source.endIndex)]))"
        }
        return String((line.symbol ?? "?").prefix { $0 != "+" }) + (file ?? "")
      }
    ).sorted()
  }
}
