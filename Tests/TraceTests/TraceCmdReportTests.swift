import Glibc
import Testing
import Trace

/// `trace-cmd report` is the oracle: the same events, losses and values.
struct TraceCmdReportTests {
  @Test func traceCmdIsInstalled() {
    #expect(TraceCmdReport.isInstalled, "install trace-cmd")
  }

  /// Recordings and others' files, in one list; a `.zst` is unpacked when it is read.
  static let files =
    Corpus.traceDats
    + Corpus.files("recordings") { $0.hasSuffix("/trace.dat") }
    + Corpus.files("fixtures") { $0.hasSuffix("trace.dat") || $0.hasSuffix("trace.dat.zst") }
    + Corpus.files("fixtures/ARM-software+trappy") { $0.hasSuffix(".dat") }

  static func isCut(_ path: String) -> Bool { path.contains("/trunc.") }

  /// Runs `body` with a path that trace-cmd can read.
  static func unpacked(_ path: String, _ body: (String) throws -> Void) throws {
    guard path.hasSuffix(".zst") else { return try body(path) }
    let copy = "/tmp/ptrauth-trace-\(getpid())-\(UInt64.random(in: 0 ... .max)).trace.dat"
    defer { unsafe unlink(copy) }
    _ = try #require(Command.output("zstd -dqf '\(path)' -o '\(copy)'"))
    try body(copy)
  }

  @Test(arguments: files.filter { !isCut($0) })
  func eventsAndLossesAreThoseOfTraceCmd(path: String) throws {
    try Self.unpacked(path) { path in
      let report = try #require(TraceCmdReport(path))
      var file = try TraceDatFile(path: path)
      let systems = Dictionary(
        file.recording.recordedEvents.map { ($0.name, $0.system) }, uniquingKeysWith: { a, _ in a })
      let probes = Set(
        file.recording.recordedEvents.filter(\.isProbe).map { "\($0.system):\($0.name)" })
      // x86's kvm_entry and others with fields the analysis does not know.
      let unused = Set(
        file.recording.warnings.filter { $0.contains("not used") }.compactMap {
          $0.split(separator: " ").first { $0.hasPrefix("kvm:") }
        })
      var expected = Merged()
      for line in report.lines {
        switch line {
        case .dropped(let cpu, let count): expected.drop(cpu, count ?? 1)
        case .event(let hit):
          let name = Substring("\(systems[String(hit.name)] ?? "?"):\(hit.name)")
          guard Expectation.isDelivered(name), !unused.contains(name) else { continue }
          expected.take(hit, name)
        }
      }
      var index = 0
      var different: [String] = []
      var losses: [[UInt64]] = []
      var seen: [Int32: UInt64] = [:]
      try file.readEvents { event in
        if case .lost(let count) = event.payload {
          losses.append([UInt64(event.cpu), count, seen[event.cpu] ?? 0])
          return
        }
        seen[event.cpu, default: 0] += 1
        defer { index += 1 }
        guard index < expected.hits.count else { return }
        let (hit, name) = expected.hits[index]
        if event.time != hit.time || event.cpu != hit.cpu || event.tid != hit.tid
          || !Expectation.matches(event.payload, name, hit.values, probes)
        {
          different.append("event \(index): \(name) at \(hit.time) on CPU \(hit.cpu)")
        }
      }
      #expect(index == expected.hits.count)
      #expect(different.isEmpty, "\(different.count), first: \(different.first ?? "")")
      #expect(Set(losses) == Set(expected.losses) && losses.count == expected.losses.count)
      let counted = Dictionary(
        file.recording.recordedEvents.filter { $0.count > 0 }.map { ($0.name, $0.count) },
        uniquingKeysWith: +)
      #expect(counted == report.counts)
      #expect(!report.counts.isEmpty)
      #expect(!file.recording.isIncomplete)
    }
  }

  /// The report's lines, told apart.
  private struct Merged {
    var hits: [(TraceCmdReport.Hit, Substring)] = []
    var losses: [[UInt64]] = []

    /// CPU, count, and how many hits of the CPU come before.
    private var seen: [Int32: UInt64] = [:]

    mutating func take(_ hit: TraceCmdReport.Hit, _ name: Substring) {
      hits.append((hit, name))
      seen[hit.cpu, default: 0] += 1
    }
    mutating func drop(_ cpu: Int32, _ count: UInt64) {
      losses.append([UInt64(cpu), count, seen[cpu] ?? 0])
    }
  }

  @Test(.enabled(if: Corpus.isPresent, "needs ../shared"), arguments: files.filter(isCut))
  func aCutFileIsRefusedWithASentence(path: String) throws {
    try Self.unpacked(path) { path in
      // trace-cmd itself prints nothing and succeeds.
      #expect(TraceCmdReport(path)?.lines.isEmpty != false)
      #expect {
        _ = try TraceDatFile(path: path)
      } throws: {
        ($0 as? TraceError)?.code == .isWithoutOptions
      }
    }
  }
}
