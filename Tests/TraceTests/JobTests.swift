import Testing
import Trace

/// With two threads the events are those that one reads, in the same order.
struct JobTests {
  private struct Reading: Equatable {
    var count = 0
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    var facts = ""
  }

  private static func read(_ path: String, jobs: Int) throws(TraceError) -> Reading {
    let file = try RecordingFile(path: path)
    var reading = Reading()
    try file.readEvents(jobs: jobs) { event in
      reading.count += 1
      for word in event.words { reading.hash = (reading.hash ^ word) &* 0x100_0000_01b3 }
    }
    reading.facts =
      "\(file.recording.warnings) \(file.recording.recordedEvents) "
      + "\(file.recording.threadNames.sorted { $0.key < $1.key }) \(file.losses) "
      + "\(file.firstTimeByCPU.sorted { $0.key < $1.key }) "
      + "\(file.lastTimeByCPU.sorted { $0.key < $1.key })"
    return reading
  }

  @Test(arguments: Corpus.recordings.prefix(3) + Corpus.traceDats)
  func twoReadWhatOneReads(path: String) throws {
    let one = try Self.read(path, jobs: 1)
    #expect(one.count > 1000)
    // Twice: a recording is read again where what was hit changes what may be concluded.
    #expect(try Self.read(path, jobs: 2) == one)
    #expect(try Self.read(path, jobs: 16) == one)
  }

  @Test(.enabled(if: Corpus.hasPerf, "install linux-perf"))
  func textToo() throws {
    let text = try TextFile.of(
      "perf script -i '\(Corpus.recordings[1])' --guestkallsyms=/dev/null -F comm,pid,tid,cpu,time,event,trace"
    )
    let one = try Self.read(text.path, jobs: 1)
    #expect(one.count > 1000)
    #expect(try Self.read(text.path, jobs: 2) == one)
  }

  /// Times that are differences: known when all were read.
  @Test("what one cannot read, two cannot, for the same reason")
  func failures() throws {
    let lines = (0..<8192).map {
      "  vcpu-0-101     [000] ....  0.00000\($0 % 7): kvm_entry: PC: 0xffff000008080000\n"
    }
    let text = try TextFile(Array(("# tracer: nop\n#\n" + lines.joined()).utf8))
    let one = #expect(throws: TraceError.self) { try Self.read(text.path, jobs: 1) }
    let two = #expect(throws: TraceError.self) { try Self.read(text.path, jobs: 2) }
    #expect(one?.description == two?.description)
    #expect(one?.description.contains("do not go forward") == true)
  }
}
