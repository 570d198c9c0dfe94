import Ptrauth
public import Replay

/// Findings as they come, one line each, while a stream is read; the report follows at its end.
///
///         5.500481520 [  1]     91  missed-host-save  critical, proved, vCPU 0: host keys not saved ...
///
/// A fault repeats at every guest entry: of one rule, at most ``limit`` lines come for each second of the
/// recording, and the next line says how many more there were. The first of each vCPU always comes.
public struct LiveFindings {
  static let limit: UInt64 = 10

  private let style: Style
  private var rules: [String: Tally] = [:]

  private struct Tally {
    var second: UInt64
    var count: UInt64 = 0
    var hidden: UInt64 = 0
    /// Those that were said before, by what stands for them.
    var vcpus: Set<String> = []
  }

  public init(style: Style) { self.style = style }

  /// What to print for an entry of the timeline, with its newline; nil for nothing.
  public mutating func line(_ entry: TimelineEntry) -> String? {
    guard case .finding(let rule, let level, let identity, let at) = entry else { return nil }
    let second = at.time / 1_000_000_000
    var text = ""
    var tally = rules[rule.id] ?? Tally(second: second)
    if second > tally.second {
      text = Self.hidden(rule.id, tally)
      tally.second = second
      tally.count = 0
      tally.hidden = 0
    }
    let isNew = tally.vcpus.insert(Self.name(identity) ?? "").inserted
    if isNew || tally.count < Self.limit {
      tally.count += 1
      text += line(rule, level, identity, at)
    } else {
      tally.hidden += 1
    }
    rules[rule.id] = tally
    return text.isEmpty ? nil : text
  }

  private static func name(_ identity: VCPUIdentity?) -> String? {
    guard let identity else { return nil }
    return identity.pointer.map(hexadecimal) ?? identity.thread.map { "of thread \($0)" }
  }

  /// What is left to say at the end.
  public func rest() -> String? {
    var text = ""
    for (rule, tally) in rules.sorted(by: { $0.key < $1.key }) { text += Self.hidden(rule, tally) }
    return text.isEmpty ? nil : text
  }

  private func line(
    _ rule: Rule, _ level: Finding.Level, _ identity: VCPUIdentity?, _ at: Moment
  ) -> String {
    var vcpu = ""
    if let identity, let name = identity.number.map(String.init) ?? Self.name(identity) {
      vcpu = ", vCPU \(name)"
    }
    return "\(seconds(at.time).right(16)) [\(String(at.cpu).right(3))] \(String(at.tid).right(6))  "
      + style.shown(style.red(rule.id))
      + "  \(rule.severity.name), \(level.word)\(vcpu): \(rule.title)\n"
  }

  private static func hidden(_ rule: String, _ tally: Tally) -> String {
    guard tally.hidden > 0 else { return "" }
    return String(repeating: " ", count: 31)
      + "\(rule)  \(tally.hidden) more in second \(tally.second)\n"
  }
}
