public import Replay

/// Passes counted from an instruction-level log: a section of the text report, or a report of its own.
public struct PassReport: Sendable {
  public var path: String
  public var cpus: [(cpu: Int, passes: PassCounts)]
  public var total: PassCounts
  /// Otherwise blocks are missing.
  public var isComplete: Bool { certainty == .exactly }
  public var certainty: InstructionPasses.Certainty
  /// Why it is no better, in clauses.
  public var reasons: [String]
  /// Of a recording: the event whose samples were counted.
  public var event: String?

  public init(
    path: String, cpus: [(cpu: Int, passes: PassCounts)], total: PassCounts, isComplete: Bool
  ) {
    self.path = path
    self.cpus = cpus
    self.total = total
    certainty = isComplete ? .exactly : .atLeast
    reasons =
      isComplete
      ? []
      : [
        "the blocks of the log do not follow on one another, so some are missing: log with -d exec,nochain "
          + "and a -dfilter range that holds all of __guest_enter"
      ]
  }

  public init(path: String, _ passes: InstructionPasses) {
    self.path = path
    cpus = passes.cpus
    total = passes.total
    certainty = passes.certainty
    reasons = passes.reasons
    event = passes.event
  }

  public func text(style: Style) -> String {
    var page = Page(style)
    write(to: &page)
    return page.text
  }

  func write(to page: inout Page) {
    page.line(page.style.bold("Passes, by executed instructions"))
    page.paragraph("  ", "from \(event.map { "the samples of \($0)" } ?? path)")
    var table = Table(columns: [
      .init("CPU", 5), .init("calls", 10, turn: 3), .init("returned", 10, turn: 2),
      .init("entries", 10), .init("exits", 10, turn: 1), .init("switched in", 13), .init("out", 9),
    ])
    table.rows = cpus.map { Self.row($0.cpu < 0 ? "?" : String($0.cpu), $0.passes) }
    if cpus.count > 1 { table.rows.append(Self.row("all", total)) }
    table.write(to: &page)
    page.paragraph("  ", sentence)
    if total.partialSwitches > 0 {
      page.paragraph(
        "  ",
        "\(counted(total.partialSwitches, "switch", "switches")) touched some of the ten registers "
          + "and not all.")
    }
  }

  /// How many passes switched keys, and how sure that is.
  var sentence: String {
    let accesses = total.reads + total.writes
    let passes =
      certainty == .exactly
      ? "\(counted(total.switchedEntries, "pass", "passes")) of \(total.entries) switched keys "
        + "(\(counted(accesses, "register access", "register accesses")))"
      : "\(counted(InstructionPasses.switched(total), "pass", "passes")) switched keys"
    let word =
      switch certainty {
      case .exactly: "Exactly "
      case .atLeast: "At least "
      case .sample: "A sample: "
      }
    return word + passes + (reasons.isEmpty ? "." : "; \(reasons.joined(separator: "; ")).")
  }

  private static func row(_ name: String, _ passes: PassCounts) -> [String] {
    [name]
      + [
        passes.calls, passes.bailOuts, passes.entries, passes.exits, passes.switchedEntries,
        passes.switchedExits,
      ].map { String($0) }
  }

  /// One document: schema "ptrauth-trace/passes/1", toolVersion, path, complete, certainty (exactly | at least | sample),
  /// reasons (why it is no better), total and cpus [{cpu, ...}; -1: not known] with calls, bailOuts, entries, exits, switchedEntries, switchedExits, partialSwitches, reads, writes.
  public var json: [UInt8] {
    var json = JSONWriter(pretty: true)
    json.object { write(&$0) }
    json.newline()
    return json.bytes
  }

  func write(_ json: inout JSONWriter) {
    json.begin(.passes)
    json.field("path", path)
    members(&json)
  }

  func members(_ json: inout JSONWriter) {
    if let event { json.field("event", event) }
    json.field("complete", isComplete)
    json.field("certainty", certainty.rawValue)
    json.key("reasons")
    json.array { json in for reason in reasons { json.value(reason) } }
    json.key("total")
    json.object { Self.fields(total, &$0) }
    json.key("cpus")
    json.array { json in
      for (cpu, passes) in cpus {
        json.object { json in
          json.field("cpu", cpu)
          Self.fields(passes, &json)
        }
      }
    }
  }

  private static func fields(_ passes: PassCounts, _ json: inout JSONWriter) {
    json.field("calls", passes.calls)
    json.field("bailOuts", passes.bailOuts)
    json.field("entries", passes.entries)
    json.field("exits", passes.exits)
    json.field("switchedEntries", passes.switchedEntries)
    json.field("switchedExits", passes.switchedExits)
    json.field("partialSwitches", passes.partialSwitches)
    json.field("reads", passes.reads)
    json.field("writes", passes.writes)
  }
}
