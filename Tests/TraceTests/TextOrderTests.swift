import Testing
import Trace

/// Texts whose lines are not in order.
struct TextOrderTests {
  private static let perCPU = 20_000

  /// kvm_entry of one pCPU, 10 us apart from `start` on.
  private static func lines(cpu: Int, from start: Int = 0, every step: Int = 10) -> [String] {
    (0..<perCPU).map { index in
      let time = start + cpu + index * step
      let digits = String(1_000_000 + time % 1_000_000).dropFirst()
      return
        "   vcpu\(cpu)-9\(cpu)   [00\(cpu)] d..1.   \(7 + time / 1_000_000).\(digits): kvm_entry: PC: 0x0000000040000000"
    }
  }

  private static func events(_ lines: [String]) throws -> Events {
    try Events(text: TextFile(Array((lines.joined(separator: "\n") + "\n").utf8)))
  }

  /// cat per_cpu/cpu*/trace
  @Test func onePCPUAfterAnother() throws {
    let events = try Self.events(Self.lines(cpu: 0) + Self.lines(cpu: 1) + Self.lines(cpu: 2))
    #expect(events.list.count == 3 * Self.perCPU)
    #expect(zip(events.list, events.list.dropFirst()).allSatisfy { $0.time < $1.time })
    #expect(!events.recording.isIncomplete)
  }

  @Test(arguments: [0, 50_000])
  func twoRecordings(distance: Int) {
    let one = Self.lines(cpu: 1)
    let error = #expect(throws: TraceError.self) {
      try Self.events(one + Self.lines(cpu: 1, from: distance))
    }
    #expect(error?.description.contains("pCPU 1 go back at line ") == true)
  }

  @Test("a few wrong times are no order, but said", arguments: [(100, " 9."), (17_000, " 3.")])
  func slips(line: Int, time: String) throws {
    var lines = Self.lines(cpu: 1)
    lines[line] = lines[line].replacing(" 7.", with: time)
    let one = try Self.events(lines)
    #expect(one.list.count == Self.perCPU && one.recording.isIncomplete)
    let two = try Self.events(lines + Self.lines(cpu: 2))
    #expect(two.list.count == 2 * Self.perCPU)
    #expect(two.recording.isIncomplete == (time == " 3."))
  }
}
