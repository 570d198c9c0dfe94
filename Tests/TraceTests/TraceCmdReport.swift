/// What `trace-cmd report` prints of a recording, in its order.
struct TraceCmdReport {
  enum Line {
    case event(Hit)
    /// "CPU:1 [379 EVENTS DROPPED]"; nil: "CPU:1 [EVENTS DROPPED]".
    case dropped(cpu: Int32, count: UInt64?)
  }

  struct Hit {
    var tid: Int32
    var cpu: Int32
    /// Nanoseconds, or ticks.
    var time: UInt64
    var name: Substring
    var values: Substring
  }

  var lines: [Line] = []

  var counts: [String: UInt64] {
    var counts: [String: UInt64] = [:]
    for case .event(let hit) in lines { counts[String(hit.name), default: 0] += 1 }
    return counts
  }

  static var isInstalled: Bool { Command.output("trace-cmd list -c") != nil }

  /// nil when trace-cmd fails.
  init?(_ path: String) {
    // -t: whole nanoseconds; -N: no plugins, so that fields are printed as the formats say.
    guard let text = Command.output("trace-cmd report -t -N -i '\(path)'") else { return nil }
    for line in text.split(separator: "\n") {
      if let line = Self.dropped(line) ?? Self.event(line) { lines.append(line) }
    }
  }

  private static func dropped(_ line: Substring) -> Line? {
    guard line.hasPrefix("CPU:"), line.hasSuffix("EVENTS DROPPED]"),
      let cpu = Int32(line.dropFirst(4).prefix { $0.isNumber })
    else { return nil }
    let count = line.drop { $0 != "[" }.dropFirst().prefix { $0.isNumber }
    return .dropped(cpu: cpu, count: UInt64(count))
  }

  /// "       vm0-vcpu0-90    [000]     5.735977936: kvm_entry:            PC: 0x...", and since 3.3 with the state of
  /// interrupts and preemption: "[000] d..2.     5.735977936: ..."
  private static func event(_ line: Substring) -> Line? {
    let bytes = line.utf8
    var open = bytes.startIndex
    while let bracket = bytes[open...].firstIndex(of: UInt8(ascii: "[")) {
      let after = bytes.index(after: bracket)
      let digits = bytes[after...].prefix { $0 >= 48 && $0 <= 57 }
      open = after
      guard let cpu = Int32(Substring(digits)), digits.endIndex < bytes.endIndex,
        bytes[digits.endIndex] == UInt8(ascii: "]")
      else { continue }
      let task = Substring(bytes[..<bracket]).utf8.reversed().drop { $0 == 32 }
      let digitsOfTask = task.prefix { $0 >= 48 && $0 <= 57 }.reversed()
      let thread = Substring(decoding: digitsOfTask, as: UTF8.self)
      var rest = Substring(bytes[bytes.index(after: digits.endIndex)...]).drop { $0 == " " }
      let flags = rest.prefix { $0 != " " }
      if flags.last != ":" {
        rest = rest.dropFirst(flags.count)
      } else if flags.first.map(\.isNumber) == false {
        // A long count of cycles leaves no room behind them.
        rest = rest.dropFirst(5)
      }
      let words = rest.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: true)
      guard let tid = Int32(thread), words.count >= 2, words[0].last == ":", words[1].last == ":",
        let time = time(words[0].dropLast())
      else { continue }
      return .event(
        Hit(
          tid: tid, cpu: cpu, time: time, name: words[1].dropLast(),
          values: words.count > 2 ? words[2].drop { $0 == " " } : ""))
    }
    return nil
  }

  private static func time(_ text: Substring) -> UInt64? {
    let parts = text.split(separator: ".")
    guard parts.count == 2 else { return UInt64(text) }
    guard let seconds = UInt64(parts[0]), let rest = UInt64(parts[1]), parts[1].count == 9 else {
      return nil
    }
    return seconds * 1_000_000_000 + rest
  }
}
