import ArgumentParser
import Bytes
import FoundationEssentials
import Glibc
import Testing
import ptrauth_trace

/// `info` as a user runs it.
struct InfoTests {
  private func run(_ arguments: [String]) throws -> (code: Int32, output: String) {
    let path = "/tmp/ptrauth-trace-info-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    defer { unsafe unlink(path) }
    let command = try Info.parse(arguments + ["-q", "-o", path])
    var code: Int32 = 0
    do { try command.run() } catch let exit as ExitCode { code = exit.rawValue }
    return (code, String(decoding: Corpus.bytes(path), as: UTF8.self))
  }

  private func shape(_ arguments: [String]) throws -> InfoShape {
    let text = try run(arguments + ["--format", "json"]).output
    return try JSONDecoder().decode(InfoShape.self, from: Data(text.utf8))
  }

  private let good = Corpus.traces[1].directory

  @Test func whatSufficesAndWhatDoesNot() throws {
    let (code, text) = try run([good + "/perf.data"])
    #expect(code == 0)
    // Whether the save was split over two pCPUs takes the handler's return.
    #expect(text.hasPrefix("SUFFICES IN PART: 15 of 18 correctness rules can be judged\n"))
    #expect(text.contains("  no   preemptible-host-save\n"))
    #expect(text.contains("  -    nested-bits-differ\n"))
    // From 5.8 on the host's slots are per-CPU data.
    let stock = try run([Corpus.traces[0].recording])
    #expect(stock.code == 0)
    #expect(stock.output.hasPrefix("SUFFICES IN PART: "))
    #expect(stock.output.contains("  yes  missed-host-save\n       by the kernel's code: "))
  }

  @Test func withoutAKernelItSaysWhatIsThereAndWhatIsMissing() throws {
    let path = "/tmp/ptrauth-trace-info-alone-\(getpid()).data"
    let sink = try ByteSink(path: path)
    try sink.write(Corpus.bytes(good + "/perf.data"))
    try sink.finish()
    defer { unsafe unlink(path) }
    let (code, text) = try run([path])
    #expect(code == 2)
    #expect(text.hasPrefix("DOES NOT SUFFICE: its probes cannot be named"))
    #expect(text.contains("ptrauth:vcpu_load: 484 hits"))
    #expect(text.contains("pass it with -k"))
  }

  @Test func unreadableInputIsCodeTwo() throws {
    #expect(try run(["/nonexistent"]).code == 2)
    #expect(try run([#filePath]).code == 2)
    #expect(throws: (any Error).self) { try Info.parse(["--format", "jsonl", "x"]) }
  }

  /// The same events, counted by the programs that recorded them.
  @Test func countsAreThoseOfPerfAndTraceCmd() throws {
    let perf = try shape([good + "/perf.data"])
    let script = Tool.lines(
      "perf script --guestkallsyms=/dev/null -F event -i '\(good)/perf.data'")
    try #require(script.count > 20_000, "perf is not installed")
    #expect(perf.events.filter { $0.value > 0 } == Self.counts(script.map(Self.label)))
    #expect(perf.eventCount == UInt64(script.count))

    let dat = try shape([good + "/trace.dat"])
    let report = Tool.lines("trace-cmd report -t -N -i '\(good)/trace.dat'").compactMap(Self.name)
    try #require(report.count > 20_000, "trace-cmd is not installed")
    var names: [String: UInt64] = [:]
    for (label, count) in dat.events where count > 0 {
      names[String(label.drop { $0 != ":" }.dropFirst()), default: 0] += count
    }
    #expect(names == Self.counts(report))
    #expect(dat.eventCount == UInt64(report.count))
    #expect(dat.suffices == "partly" && perf.suffices == "partly")
    #expect(dat.cpus.count == 4 && dat.cpus.allSatisfy { $0.lost == nil && $0.first < $0.last })
  }

  /// "    kvm:kvm_entry: " -> "kvm:kvm_entry".
  private static func label(_ line: Substring) -> Substring {
    line.drop { $0 == " " }.prefix { $0 != " " }.dropLast()
  }

  private static func counts(_ names: [Substring]) -> [String: UInt64] {
    var counts: [String: UInt64] = [:]
    for name in names { counts[String(name), default: 0] += 1 }
    return counts
  }

  /// "   vm0-vcpu0-90    [000]     5.735977936: kvm_entry:       PC: 0x..." -> "kvm_entry"; since trace-cmd 3.3
  /// "d..2." before the time.
  private static func name(_ line: Substring) -> Substring? {
    let words = line.split(separator: " ", omittingEmptySubsequences: true)
    guard let cpu = words.firstIndex(where: { $0.hasPrefix("[") && $0.hasSuffix("]") }),
      let time = words[cpu...].dropFirst().prefix(2).firstIndex(where: { $0.last == ":" }),
      words.count > time + 1
    else { return nil }
    return words[time + 1].dropLast()
  }

  @Test(.enabled(if: Corpus.hasShared, "needs ../shared/recordings"))
  func lossesAreSaidByCPU() throws {
    let lossy = Corpus.shared + "/v7/lossy-good"
    let image = Corpus.shared + "/kernels/v7/vmlinux.slim.xz"
    for file in ["perf.data", "trace.dat"] {
      let info = try shape([lossy + "/" + file, "-k", image])
      #expect(info.recording.incomplete)
      #expect(info.suffices == "partly")
      #expect(info.cpus.contains { ($0.lost ?? 0) > 0 })
      let (code, text) = try run([lossy + "/" + file, "-k", image])
      #expect(code == 0 && text.contains("events are missing, so no verdict can be clean"))
    }
  }
}

private struct InfoShape: Decodable {
  struct Recording: Decodable { var incomplete: Bool }
  struct CPU: Decodable {
    var cpu: Int32
    var first: UInt64
    var last: UInt64
    var lost: UInt64?
  }
  var recording: Recording
  var events: [String: UInt64]
  var eventCount: UInt64
  var cpus: [CPU]
  var suffices: String
}
