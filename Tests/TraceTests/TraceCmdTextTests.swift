import Testing
import Trace

/// ftrace's own text and trace-cmd's, against the perf.data of the same run: every KVM event and
/// probe hit is in all three, stamped apart by microseconds; scheduling differs (the recorders did not
/// begin together).
@Suite(.enabled(if: Corpus.isPresent, "needs ../shared"))
struct TraceCmdTextTests {
  private static let run = Corpus.root + "/recordings/v7/good"

  @Test func traceCmdIsInstalled() {
    #expect(Command.output("command -v trace-cmd") != nil, "install trace-cmd")
  }

  /// Commands that print the run, and what they cannot show.
  struct Text: CustomTestStringConvertible {
    var command: String
    var format: String
    var lacks: Set<Lack> = []
    var testDescription: String { command }
    enum Lack { case addresses, pointers, errno, nanoseconds }
  }

  static let texts = [
    Text(
      command: "zstdcat '\(run)/text/trace.txt.zst'", format: "ftrace text (trace)",
      lacks: [.addresses, .pointers, .errno]),
    Text(
      command: "zstdcat '\(run)/text/trace.txt.zst' | grep -v '^#'",
      format: "ftrace text (trace_pipe)", lacks: [.addresses, .pointers, .errno]),
    Text(
      command: "zstdcat '\(run)/text/report.txt.zst'", format: "ftrace text (trace-cmd report)",
      lacks: [.errno]),
    Text(
      command: "zstdcat '\(run)/text/script.txt.zst'", format: "ftrace text (perf script)",
      lacks: [.errno]),
    Text(
      command: "trace-cmd report -i '\(run)/trace.dat'", format: "ftrace text (trace-cmd report)",
      lacks: [.errno]),
    Text(
      command: "trace-cmd report -t -R -i '\(run)/trace.dat'",
      format: "ftrace text (trace-cmd report)"),
    Text(
      command: "trace-cmd report -t -l -i '\(run)/trace.dat'",
      format: "ftrace text (trace-cmd report)", lacks: [.errno]),
  ]

  @Test(arguments: texts)
  func eventsAreThoseOfThePerfData(text: Text) throws {
    let events = try Events(text: TextFile.of(text.command))
    let expected = try Events(perfData: Self.run + "/perf.data")
    #expect(events.recording.format == text.format)
    #expect(!events.recording.isIncomplete)
    #expect(events.switchCount == events.counts["sched:sched_switch"])
    let mine = Self.byThread(events, text.lacks)
    let theirs = Self.byThread(expected, text.lacks)
    #expect(Set(mine.keys) == Set(theirs.keys))
    for (thread, list) in theirs {
      let other = mine[thread] ?? []
      #expect(other.count == list.count, "thread \(thread)")
      let first = zip(other, list).first { $0 != $1 }
      #expect(first == nil, "thread \(thread)")
    }
    for (name, count) in Self.unscheduled(expected) {
      #expect(Self.unscheduled(events)[name] == count, "\(name)")
    }
  }

  /// libtraceevent's plugin prints other words than the fields are; it leaves out that a task was
  /// preempted.
  @Test
  func schedulingIsThatOfTheRawFields() throws {
    let plain = try Events(text: TextFile.of("trace-cmd report -t -i '\(Self.run)/trace.dat'"))
    let raw = try Events(text: TextFile.of("trace-cmd report -t -R -i '\(Self.run)/trace.dat'"))
    let pairs = zip(plain.list, raw.list).filter {
      if case .schedSwitch = $0.0.payload { true } else { false }
    }
    #expect(pairs.count == 1727)
    for (one, other) in pairs {
      guard case .schedSwitch = other.payload else {
        Issue.record("not the same events")
        return
      }
      #expect(one.asPluginPrints.words == other.asPluginPrints.words)
    }
  }

  private static func unscheduled(_ events: Events) -> [String: UInt64] {
    events.recording.recordedEvents.filter { $0.system != "sched" && $0.count > 0 }.reduce(into: [:]
    ) { $0[$1.name] = $1.count }
  }

  /// All KVM events and probe hits of each thread, in order, without their times and what the text
  /// lacks.
  private static func byThread(_ events: Events, _ lacks: Set<Text.Lack>) -> [Int32: [[UInt64]]] {
    var threads: [Int32: [[UInt64]]] = [:]
    for var event in events.list {
      event.time = 0
      event.pid = -1
      switch event.payload {
      case .schedSwitch, .migrateTask, .fork, .lost: continue
      case .setupDebug where lacks.contains(.pointers): continue
      case .userspaceExit(let reason, let errno) where lacks.contains(.errno):
        event.payload = .userspaceExit(reason: errno < 0 ? 0 : reason, errno: 0)
        if errno == 0, reason == 10 { event.payload = .userspaceExit(reason: 0, errno: 0) }
      case .probe(var hit):
        // Without a host context there are no slots to sample: what is printed is what was there.
        if hit.fields.hostContext == 0 { hit.fields.hostKeys = nil }
        if lacks.contains(.addresses) {
          hit.address = 0
          hit.symbol = nil
        }
        event.payload = .probe(hit)
      default: break
      }
      threads[event.tid, default: []].append(event.words)
    }
    return threads
  }

  /// The kernel's text names the functions: their addresses are in kallsyms.
  @Test
  func symbolsAreThoseOfKallsyms() throws {
    let kallsyms = try #require(
      Command.output("xzcat '\(Corpus.root)/recordings/kernels/v7/kallsyms.xz'"))
    var addresses: [Substring: UInt64] = [:]
    for line in kallsyms.split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count >= 3 { addresses[words[2]] = UInt64(words[0], radix: 16) }
    }
    let events = try Events(text: TextFile.of("zstdcat '\(Self.run)/text/trace.txt.zst'"))
    let expected = try Events(perfData: Self.run + "/perf.data")
    let hits = Self.probes(expected)
    #expect(Self.probes(events).count == hits.count)
    var named: [UInt64: UInt64] = [:]
    for (address, symbol) in Self.probes(events) {
      #expect(address == 0)
      named[addresses[Substring(symbol ?? "")] ?? 0, default: 0] += 1
    }
    #expect(named == hits.reduce(into: [:]) { $0[$1.0, default: 0] += 1 })
  }

  private static func probes(_ events: Events) -> [(UInt64, String?)] {
    events.list.compactMap {
      guard case .probe(let hit) = $0.payload else { return nil }
      return (hit.address, hit.symbol)
    }
  }

  /// trace-cmd says where it lost how many.
  @Test
  func lossesAreThoseOfTraceCmd() throws {
    let path = Corpus.root + "/recordings/v7/lossy-good/trace.dat"
    let text = try #require(Command.output("trace-cmd report -i '\(path)'"))
    var expected: [Int32: UInt64] = [:]
    for line in text.split(separator: "\n") where line.hasSuffix("EVENTS DROPPED]") {
      let words = line.split { " :[".contains($0) }
      guard let cpu = Int32(words[1]), let count = UInt64(words[2]) else { continue }
      expected[cpu, default: 0] += count
    }
    let events = try Events(text: TextFile(Array(text.utf8)))
    #expect(!expected.isEmpty)
    #expect(events.losses.byCPU == expected)
    var delivered: [Int32: UInt64] = [:]
    for (index, event) in events.list.enumerated() {
      guard case .lost(let count) = event.payload else { continue }
      delivered[event.cpu, default: 0] += count
      #expect(index + 1 < events.list.count && events.list[index + 1].time >= event.time)
    }
    #expect(delivered == expected)
  }
}
