public import Replay

/// Passes counted from an instruction-level log: a section of the text report, or a report of its own.
public struct PassReport: Sendable {
  public var path: String
  public var cpus: [(cpu: Int, passes: PassCounts)]
  public var total: PassCounts
  /// Otherwise the log holds a sample.
  public var isComplete: Bool

  public init(
    path: String, cpus: [(cpu: Int, passes: PassCounts)], total: PassCounts, isComplete: Bool
  ) {
    self.path = path
    self.cpus = cpus
    self.total = total
    self.isComplete = isComplete
  }

  public func text(style: Style) -> String {
    var page = Page(style)
    page.line(style.bold("Passes, by executed instructions"))
    page.paragraph("  ", "from \(path)")
    page.line(
      "  " + "CPU".right(5) + "calls".right(10) + "returned".right(10) + "entries".right(10)
        + "exits".right(10) + "switched in".right(13) + "out".right(9))
    for (cpu, passes) in cpus { page.line(Self.row(String(cpu), passes)) }
    if cpus.count > 1 { page.line(Self.row("all", total)) }
    let accesses = total.reads + total.writes
    page.paragraph(
      "  ",
      (isComplete ? "Exactly " : "A sample: ")
        + "\(counted(total.switchedEntries, "pass", "passes")) of \(total.entries) switched keys "
        + "(\(counted(accesses, "register access", "register accesses")))"
        + (isComplete
          ? "."
          : "; calls, entries and exits do not match, so blocks are missing: log with -d exec,nochain "
            + "and a -dfilter range that holds all of __guest_enter."))
    if total.partialSwitches > 0 {
      page.paragraph(
        "  ",
        "\(counted(total.partialSwitches, "switch", "switches")) touched some of the ten registers "
          + "and not all.")
    }
    return page.text
  }

  private static func row(_ name: String, _ passes: PassCounts) -> String {
    "  " + name.right(5) + String(passes.calls).right(10) + String(passes.bailOuts).right(10)
      + String(passes.entries).right(10) + String(passes.exits).right(10)
      + String(passes.switchedEntries).right(13) + String(passes.switchedExits).right(9)
  }

  /// One document: schema "ptrauth-trace/passes/1", path, complete, total and cpus [{cpu, ...}] with calls,
  /// bailOuts, entries, exits, switchedEntries, switchedExits, partialSwitches, reads, writes.
  public var json: [UInt8] {
    var json = JSONWriter(pretty: true)
    json.object { json in
      json.field("schema", "ptrauth-trace/passes/1")
      json.field("path", path)
      json.field("complete", isComplete)
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
    json.newline()
    return json.bytes
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
