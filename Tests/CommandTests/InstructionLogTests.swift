import ArgumentParser
import Bytes
import FoundationEssentials
import Glibc
import KernelImage
import Replay
import Testing
import Trace
import ptrauth_trace

/// QEMU's log of executed blocks, against counts that grep makes of it.
struct InstructionLogTests {
  private static let folder = Corpus.root + "/traces/deb-6.1-instructions"
  private static let log = folder + "/exec.log.zst"
  private static let vmlinux = Corpus.traces[0].vmlinux

  private func run(_ arguments: [String]) throws -> (code: Int32, output: String) {
    let path = "/tmp/ptrauth-trace-log-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    defer { unsafe unlink(path) }
    let command = try Analyze.parse(arguments + ["-q", "-o", path])
    var code: Int32 = 0
    do { try command.run() } catch let exit as ExitCode { code = exit.rawValue }
    return (code, String(decoding: Corpus.bytes(path), as: UTF8.self))
  }

  private struct Shape: Decodable {
    struct Passes: Decodable {
      var calls, bailOuts, entries, exits, switchedEntries, switchedExits, partialSwitches: UInt64
      var reads, writes: UInt64
    }
    var complete: Bool
    var total: Passes
    var cpus: [Passes]
  }

  /// Lines of a block that starts there, without those that were taken back.
  private func grep(_ address: String) throws -> UInt64 {
    let lines = Tool.lines("zstdcat '\(Self.log)' | grep '\(address)'")
    let stopped = lines.count { $0.hasPrefix("Stopped") }
    return UInt64(lines.count - 2 * stopped)
  }

  @Test func passesAreCountedExactly() throws {
    let (code, text) = try run(
      ["--instructions", Self.log, "-k", Self.vmlinux, "--format", "json"])
    #expect(code == 0)
    let shape = try JSONDecoder().decode(Shape.self, from: Data(text.utf8))
    #expect(shape.complete)
    // __guest_enter, the return behind the test of ISR_EL1, __guest_exit, and the block behind the
    // guard of either side.
    #expect(shape.total.calls == (try grep("ffff800008087498")))
    #expect(shape.total.bailOuts == (try grep("ffff8000080874e4")))
    #expect(shape.total.exits == (try grep("ffff800008087624")))
    #expect(shape.total.switchedEntries == (try grep("ffff800008087540")))
    #expect(shape.total.switchedExits == (try grep("ffff800008087698")))
    #expect(shape.total.entries == shape.total.calls - shape.total.bailOuts)
    #expect(shape.total.switchedEntries == 168 && shape.total.partialSwitches == 0)
    #expect(shape.total.writes == 168 * 20 && shape.total.reads == 168 * 10)
    #expect(shape.cpus.map(\.switchedEntries).reduce(0, +) == 168 && shape.cpus.count == 2)
  }

  /// What events prove is no more than what happened.
  @Test func theLowerBoundIsOne() throws {
    let session = try Session(recording: Self.folder + "/trace.dat", vmlinux: Self.vmlinux)
    let analysis = try session.replay(timeline: nil)
    let bound = analysis.vcpus.map(\.counters.keySwitches).reduce(0, +)
    #expect(bound <= 168 && bound >= 84, "\(bound)")
    let (code, text) = try run(
      [Self.folder + "/trace.dat", "--instructions", Self.log, "-k", Self.vmlinux])
    #expect(code == 0)
    #expect(text.hasPrefix("CLEAN"))
    #expect(text.contains("Exactly 168 passes of 885 switched keys (5040 register accesses)."))
  }

  /// Chained blocks leave no line: then the counts are a sample, and said to be one.
  @Test func aLogWithHolesIsASample() throws {
    let path = "/tmp/ptrauth-trace-holes-\(getpid()).log"
    defer { unsafe unlink(path) }
    _ = Tool.lines("zstdcat '\(Self.log)' | grep -v ffff800008087624 > '\(path)'; true")
    let (code, text) = try run(["--instructions", path, "-k", Self.vmlinux])
    #expect(code == 2)
    #expect(text.contains("At least ") && text.contains("nochain"))
  }

  /// -dfilter leaves out blocks of the key switch alone: calls, entries and exits still match.
  @Test(arguments: ["ffff800008087540", "ffff800008087698", "ffff80000808754"])
  func aLogWithoutASwitchBlockIsALowerBound(address: String) throws {
    let path = "/tmp/ptrauth-trace-holes-\(getpid())-\(address).log"
    defer { unsafe unlink(path) }
    _ = Tool.lines("zstdcat '\(Self.log)' | grep -v \(address) > '\(path)'; true")
    let (code, text) = try run([path, "-k", Self.vmlinux])
    #expect(code == 2)
    #expect(text.contains("At least ") && !text.contains("Exactly"))
  }

  /// The log is told by its first lines, packed or not, wherever it stands.
  @Test func theLogIsToldFromRecordings() throws {
    let recording = Self.folder + "/trace.dat"
    let expected = try run([recording, "--instructions", Self.log, "-k", Self.vmlinux])
    #expect(try run([Self.log, recording, "-k", Self.vmlinux]) == expected)
    #expect(try run([recording, Self.log, "-k", Self.vmlinux]) == expected)
    let alone = try run(["--instructions", Self.log, "-k", Self.vmlinux])
    #expect(try run([Self.log, "-k", Self.vmlinux]) == alone)
    #expect(try run([Self.log, Self.log + "", "-k", Self.vmlinux]).code == 2, "two logs")
    #expect(try run([Self.log, recording, "-k", Self.vmlinux, "--format", "ktap"]).code == 2)
    do {
      _ = try Session(recording: Self.log, vmlinux: Self.vmlinux)
      Issue.record("a log has no events")
    } catch {
      #expect(error.sentence.contains("QEMU's log of executed blocks"))
    }
  }

  /// JSON holds the passes beside the findings: in the document of one recording, behind those of several.
  @Test func jsonHoldsBoth() throws {
    struct Document: Decodable {
      var schema: String
      var verdict: String?
      var instructions: Shape?
      var total: Shape.Passes?
    }
    let recording = Self.folder + "/trace.dat"
    let one = try run([recording, Self.log, "-k", Self.vmlinux, "--format", "json"])
    let document = try JSONDecoder().decode(Document.self, from: Data(one.output.utf8))
    #expect(one.code == 0 && document.verdict == "clean")
    #expect(
      document.instructions?.complete == true && document.instructions?.total.switchedEntries == 168
    )
    let several = try run([recording, recording, Self.log, "-k", Self.vmlinux, "--format", "json"])
    let documents = try JSONDecoder().decode([Document].self, from: Data(several.output.utf8))
    #expect(documents.map(\.verdict) == ["clean", "clean", nil])
    #expect(documents.last?.schema == "ptrauth-trace/passes/1")
    #expect(documents.last?.total?.switchedEntries == 168)
    let text = try run([recording, recording, Self.log, "-k", Self.vmlinux])
    #expect(text.output.contains("SUMMARY of 2 recordings"))
    #expect(text.output.hasSuffix("switched keys (5040 register accesses).\n"))
  }

  @Test func wrongInputIsSaid() throws {
    #expect(try run(["--instructions", #filePath, "-k", Self.vmlinux]).code == 2)
    #expect(try run(["--instructions", Self.log]).code == 2)
    #expect(
      try run(["--instructions", Self.log, "-k", Corpus.traces[1].vmlinux]).code == 2,
      "another kernel")
    #expect(throws: (any Error).self) {
      try Analyze.parse(["a", "--format", "junit", "--instructions", Self.log])
    }
  }

  /// A block that was stopped before it began did not run.
  @Test func stoppedBlocksAreTakenBack() throws {
    let path = "/tmp/ptrauth-trace-stopped-\(getpid()).log"
    defer { unsafe unlink(path) }
    let sink = try ByteSink(path: path)
    try sink.write(
      """
      Trace 0: 0x7f01 [0000000000003301/ffff800008087498/00000251/ff080200] __guest_enter
      Trace 1: 0x7f01 [0000000000003301/ffff800008087498/00000251/ff080200]
      Stopped execution of TB chain before 0x7f01 [ffff800008087498] __guest_enter
      noise
      Trace 1: 0x7f01 [0000000000003301/ffff800008087498/00000251/ff080200] __guest_enter
      Trace 1: 0x7f02 [0000000000003301/ffff8000080874d8/00000251/ff080200] __guest_enter
      """)
    try sink.finish()
    var blocks: [(Int, UInt64, UInt64?)] = []
    try QEMULog(path: path).readBlocks { blocks.append(($0.cpu, $0.address, $0.next)) }
    #expect(blocks.map(\.0) == [1, 0, 1])
    #expect(blocks.map { $0.1 & 0xfff } == [0x498, 0x498, 0x4d8])
    #expect(blocks.map(\.2) == [0xffff_8000_0808_74d8, nil, nil])
  }
}
