import Glibc
import Testing
import Trace

/// Text that comes in pieces.
struct TextStreamTests {
  private struct Result {
    var events: [Event] = []
    var pass = TextStreamPass()

    /// `pieces`: with the milliseconds at which they come; nil in place of bytes: silence.
    init(_ pieces: [(now: UInt64, bytes: [UInt8]?)], isStopped: Bool = false) {
      var list: [Event] = []
      for piece in pieces {
        if let bytes = piece.bytes {
          pass.take(bytes)
          pass.deliver(now: piece.now) { list.append(copy $0) }
        } else {
          pass.deliverAll { list.append(copy $0) }
        }
      }
      pass.finish(isStopped: isStopped) { list.append(copy $0) }
      events = list
    }

    init(_ text: String, isStopped: Bool = false) {
      self.init([(0, Array(text.utf8))], isStopped: isStopped)
    }

    var times: [UInt64] { events.map { $0.time / 1000 % 1_000_000 } }
    var losses: [(cpu: Int32, count: UInt64)] {
      events.compactMap { event in
        if case .lost(let count) = event.payload { (event.cpu, count) } else { nil }
      }
    }
  }

  private static func line(_ microseconds: UInt64, cpu: Int = 0) -> String {
    let digits = String(1_000_000 + microseconds).dropFirst()
    return "   vcpu0-90   [00\(cpu)] d..1.     7.\(digits): kvm_entry: PC: 0x0000000040000000\n"
  }

  /// Whatever the pieces are, the events are those of the file.
  @Test(arguments: ["trace-cmd report -t -N", "trace-cmd report -R"])
  func piecesOfAnySizeMakeNoDifference(command: String) throws {
    let text = try TextFile.of("\(command) -i '\(try #require(Corpus.traceDats.first))'")
    let bytes = try #require(Command.bytes(text.path))
    let expected = try Events(text: text)
    var random = SystemRandomNumberGenerator()
    for size in [1 << 20, 4093, 61] {
      var pieces: [(now: UInt64, bytes: [UInt8]?)] = []
      var start = 0
      while start < bytes.count {
        let end = min(bytes.count, start + Int.random(in: 1...size, using: &random))
        pieces.append((UInt64(pieces.count), Array(bytes[start..<end])))
        start = end
      }
      let result = Result(pieces)
      #expect(result.events.count == expected.list.count)
      #expect(
        zip(result.events, expected.list).allSatisfy {
          $0.time == $1.time && $0.cpu == $1.cpu && $0.tid == $1.tid
            && "\($0.payload)" == "\($1.payload)"
        })
      #expect(result.pass.lateCount == 0)
      #expect(
        result.pass.scan.table.events.map(\.recorded.count)
          == expected.recording.recordedEvents.map(\.count))
    }
  }

  @Test func disorderWithinTheWindowIsPutInOrder() {
    let result = Result(
      [30, 10, 20, 99_000, 50, 100].map { Self.line($0, cpu: Int($0 % 3)) }.joined())
    #expect(result.times == [10, 20, 30, 50, 100, 99_000])
    #expect(result.pass.lateCount == 0 && result.losses.isEmpty)
  }

  /// What comes later than that is said, and nothing that was known stands against it.
  @Test func whatComesTooLateIsAWall() {
    let first = [10, 150_000, 300_000].map { Self.line($0) }.joined()
    let result = Result([
      (0, Array(first.utf8)), (1, Array(Self.line(20, cpu: 1).utf8)),
      (2, Array(Self.line(310_000).utf8)),
    ])
    #expect(result.pass.lateCount == 1)
    #expect(result.times == [10, 150_000, 150_000, 20, 300_000, 310_000])
    #expect(result.losses.map(\.cpu) == [1] && result.losses.map(\.count) == [0])
    #expect(result.pass.warnings.contains { $0.hasPrefix("1 event came out of order") })
  }

  /// A quiet stream does not hold its last events back.
  @Test func silenceAndTimeRelease() {
    var pass = TextStreamPass()
    var count = 0
    pass.take(Array(Self.line(10).utf8))
    pass.deliver(now: 1000) { _ in count += 1 }
    #expect(count == 0)
    pass.deliver(now: 1000 + ReorderWindow.delay) { _ in count += 1 }
    #expect(count == 1)
    pass.take(Array(Self.line(20).utf8))
    pass.deliverAll { _ in count += 1 }
    #expect(count == 2)
  }

  @Test func lossesComeBeforeTheNextEventOfTheirCPU() {
    let text =
      Self.line(10) + Self.line(11, cpu: 1) + "CPU:1 [LOST 7 EVENTS]\n" + Self.line(12)
      + Self.line(13, cpu: 1) + "CPU:0 [LOST 5 EVENTS]\n"
    let result = Result(text)
    #expect(result.losses.map(\.cpu) == [1, 0] && result.losses.map(\.count) == [7, 5])
    #expect(result.times == [10, 11, 12, 13, 13, 13])
    #expect(result.events.map(\.cpu) == [0, 1, 0, 1, 1, 0])
    #expect(result.pass.losses.byCPU == [1: 7, 0: 5])
  }

  @Test func aCutEndIsNoEndThatTheReaderMade() {
    let text = Self.line(10) + String(Self.line(20).dropLast(12))
    let cut = Result(text)
    #expect(cut.times == [10] && cut.pass.scan.isCut)
    let stopped = Result(text, isStopped: true)
    #expect(stopped.times == [10] && !stopped.pass.scan.isCut)
  }

  /// A line without end takes no memory.
  @Test func endlessLines() {
    var pieces: [(now: UInt64, bytes: [UInt8]?)] = [(0, Array(Self.line(10).utf8))]
    for _ in 0..<100 { pieces.append((0, [UInt8](repeating: 65, count: 5000))) }
    pieces.append((0, Array(("\n" + Self.line(20)).utf8)))
    let result = Result(pieces)
    #expect(result.times == [10, 20])
    #expect(result.pass.warnings.contains { $0.contains("is longer than") })
  }

  @Test func theWindowSortsAndIsBounded() {
    var window = ReorderWindow()
    var random = SystemRandomNumberGenerator()
    var added: [UInt64] = []
    var taken: [UInt64] = []
    for _ in 0..<3000 {
      let time = UInt64.random(in: 0..<1000, using: &random)
      added.append(time)
      window.add(Event(time: time, cpu: 0, pid: 0, tid: 0, payload: .entry(pc: 0)))
    }
    while let event = window.next(upTo: .max) { taken.append(event.time) }
    #expect(taken == added.sorted())
    for time in 0...UInt64(ReorderWindow.limit) {
      window.add(Event(time: time, cpu: 0, pid: 0, tid: 0, payload: .entry(pc: 0)))
    }
    #expect(window.next(upTo: 0)?.time == 0)
    #expect(window.next(upTo: 0) == nil)
  }

  @Test func hindsightSaysWhatWasReachedThen() {
    var hindsight = Hindsight(milliseconds: 400)
    #expect(hindsight.note(5, at: 1000) == nil)
    #expect(hindsight.note(7, at: 1300) == nil)
    #expect(hindsight.note(9, at: 1400) == 5)
    #expect(hindsight.note(9, at: 1750) == 7)
    #expect(hindsight.note(11, at: 9000) == 9)
  }
}
