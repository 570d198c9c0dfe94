/// The clock of a trace, by the name tracefs gives it (Documentation/trace/ftrace.rst, "trace_clock").
struct TraceClock: Equatable {
  var name: String

  /// Clocks whose unit is not the nanosecond: kernel/trace/trace.c, trace_clocks[], `in_ns`.
  private static let tickUnits = [
    "counter": "events", "uptime": "jiffies", "x86-tsc": "cycles", "ppc-tb": "cycles",
  ]

  init(name: String) { self.name = name }

  /// "local global [mono] ...": the one in brackets, nil when there is none.
  init?(choice: String) {
    let words = choice.split { $0 == " " || $0 == "\n" }
    guard let chosen = words.first(where: { $0.hasPrefix("[") && $0.hasSuffix("]") }) else {
      return nil
    }
    name = String(chosen.dropFirst().dropLast())
  }

  /// What it counts if that is not nanoseconds.
  var tickUnit: String? { Self.tickUnits[name] }
}
