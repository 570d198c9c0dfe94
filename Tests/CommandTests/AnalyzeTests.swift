import ArgumentParser
import Bytes
import FoundationEssentials
import Glibc
import Testing
import Trace
import ptrauth_trace

/// The command as a user runs it: arguments in, output and exit code out.
struct AnalyzeTests {
  /// Runs `analyze` and returns its exit code and what it wrote.
  private func run(_ arguments: [String]) throws -> (code: Int32, output: [UInt8]) {
    let path = "/tmp/ptrauth-trace-test-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    defer { unsafe unlink(path) }
    let command = try Analyze.parse(arguments + ["-q", "-o", path])
    do {
      try command.run()
      return (0, Corpus.bytes(path))
    } catch let code as ExitCode {
      return (code.rawValue, Corpus.bytes(path))
    }
  }

  private let good = Corpus.traces[1].recording
  private let faulty = Corpus.traces[2].recording

  @Test func exitCodes() throws {
    #expect(try run([good]).code == 0)
    #expect(try run([faulty]).code == 1)
    #expect(try run([faulty, "--fail-on", "critical"]).code == 1)
    #expect(try run([faulty, "--fail-on", "none"]).code == 0)
    #expect(try run([good, "--fail-on", "low"]).code == 1, "costs are of severity low")
    #expect(try run(["-i", good]).code == 0)
  }

  @Test(arguments: [
    ["--generation", "nine", "x"], ["--format", "xml", "x"], ["--fail-on", "bad", "x"],
    ["a", "-i", "b"],
    ["--nonsense"],
  ])
  func usageErrors(arguments: [String]) {
    do {
      _ = try Analyze.parse(arguments)
      Issue.record("accepted")
    } catch {
      #expect(Analyze.exitCode(for: error).rawValue == 64)
    }
  }

  @Test func unusableInputIsOneSentence() throws {
    let text = #filePath
    let cases: [(arguments: [String], says: String)] = [
      (["/nonexistent/perf.data"], "cannot open"),
      ([text], "neither perf.data nor trace.dat nor ftrace text"),
      (["/"], "directory"),
      ([good, "-k", text], "not an ELF file"),
      ([good, "-k", "/nonexistent/vmlinux"], "/nonexistent/vmlinux"),
      ([good, "-k", "/proc/self/exe"], "not arm64"),
      ([faulty, "-k", Corpus.traces[0].vmlinux], "does not belong to this recording"),
    ]
    for (arguments, says) in cases {
      let command = try Analyze.parse(arguments)
      let sentence = try #require(problem(command.recordings.first ?? "", command.kernel.vmlinux))
      #expect(sentence.contains(says), "\(sentence)")
      #expect(!sentence.contains("\n"))
      #expect(try run(arguments).code == 2)
    }
  }

  /// Why there is no report; nil if there is one.
  private func problem(_ recording: String, _ vmlinux: String?) -> String? {
    do throws(Problem) {
      let session = try Session(recording: recording, vmlinux: vmlinux, generation: nil)
      _ = try session.document(try session.replay(timeline: nil))
      return nil
    } catch {
      return error.sentence
    }
  }

  @Test func aWrongBuildIDNamesBoth() throws {
    let sentence = try #require(problem(faulty, Corpus.traces[0].vmlinux))
    #expect(sentence.contains("b14dcc8328d1b80c1a346799f1480ec3a5e5182d"))
    #expect(sentence.contains("0ed29847cba3cbd9114b826b3a1ad39dd624ffa0"))
  }

  @Test func withoutAKernelTracepointsStillCount() throws {
    // A copy where no vmlinux lies beside it.
    let path = "/tmp/ptrauth-trace-alone-\(getpid()).data"
    let sink = try ByteSink(path: path)
    try sink.write(Corpus.bytes(faulty))
    try sink.finish()
    defer { unsafe unlink(path) }
    let (code, output) = try run([path, "--format", "json", "--generation", "v7"])
    #expect(code == 2, "no correctness rule was judged: that is no pass")
    let report = try JSONDecoder().decode(ReportShape.self, from: Data(output))
    #expect(report.verdict == "cannot judge")
    #expect(report.kernel.generation == "v7" && report.kernel.generationBasis == "--generation")
    #expect(report.vcpus.allSatisfy { $0.identity == "thread (weak)" && $0.vcpu == nil })
    #expect(report.vcpus.allSatisfy { $0.counters.runs > 0 && $0.counters.loads > 0 })
    #expect(report.notObservable.contains { $0.rule == "missed-host-save" })
    let weak = try JSONDecoder().decode(
      ReportShape.self, from: Data(try run([path, "--format", "json"]).output))
    #expect(weak.kernel.generationBasis.contains("weak"))
  }

  @Test func theJSONDocument() throws {
    let (_, bytes) = try run([faulty, "--format", "json"])
    let report = try JSONDecoder().decode(ReportShape.self, from: Data(bytes))
    #expect(report.schema == "ptrauth-trace/analysis/2")
    #expect(report.verdict == "findings")
    let finding = try #require(report.findings.first)
    #expect(finding.rule == "missed-host-save" && finding.level == "proved")
    #expect(finding.severity == "critical" && finding.count > 300 && finding.first < finding.last)
    #expect(finding.evidence.count == 3)
    #expect(finding.evidence.map(\.time) == finding.evidence.map(\.time).sorted())
    #expect(finding.source == "kvm_arm_vcpu_ptrauth_trap (arch/arm64/kvm/handle_exit.c:193)")
    #expect(
      report.vcpus.count == 4 && report.vcpus.allSatisfy { $0.vcpu?.hasPrefix("0xffff") == true })
    #expect(report.vcpus.map(\.counters.runs).reduce(0, +) == 2714)
  }

  @Test func theTimeline() throws {
    let (_, bytes) = try run([good, "--format", "jsonl"])
    var runs = 0
    var types: Set<String> = []
    let lines = bytes.split(separator: UInt8(ascii: "\n"))
    #expect(lines.last?.starts(with: Array(#"{"type":"verdict","#.utf8)) == true)
    #expect(lines.first?.starts(with: Array(#"{"type":"timeline","#.utf8)) == true)
    for (number, line) in lines.dropFirst().dropLast().enumerated() {
      let isRun = line.starts(with: Array(#"{"type":"run","#.utf8))
      if isRun { runs += 1 }
      // JSONDecoder is slow: a sample of the runs, and everything else.
      if isRun, number % 20 != 0 { continue }
      let entry = try JSONDecoder().decode(LineShape.self, from: Data(line))
      types.insert(entry.type)
      guard isRun else {
        #expect(entry.type == "trap" || entry.implied == false)
        continue
      }
      #expect(entry.api?.count == 2 && entry.apk?.count == 2 && entry.basis?.count == 2)
      #expect(entry.enter != nil && entry.exit.map { $0 > (entry.enter ?? 0) } == true)
      #expect(entry.ret == "TRAP" ? entry.ec != nil : entry.ec == nil)
    }
    #expect(runs == 1425)
    #expect(types == ["run", "load", "put", "trap"])
  }

  @Test func sameInputSameOutput() throws {
    for format in ["text", "json", "jsonl", "html"] {
      #expect(try run([faulty, "--format", format]) == run([faulty, "--format", format]))
    }
  }

  /// Keys are secrets: no key value of the recording is in any output.
  @Test func keyValuesNeverLeave() throws {
    var values: Set<UInt64> = []
    var file = try PerfDataFile(path: faulty)
    try file.readEvents { values.formUnion(keyValues($0.payload)) }
    #expect(values.count > 100)
    for format in ["text", "json", "jsonl", "html"] {
      let output = String(
        decoding: try run([faulty, "-v", "--format", format]).output, as: UTF8.self)
      let words = Set(
        output.split { !$0.isHexDigit && $0 != "x" }.map {
          $0.hasPrefix("0x") ? $0.dropFirst(2) : $0
        })
      for value in values {
        let hexadecimal = String(value, radix: 16)
        #expect(
          !words.contains(Substring(hexadecimal)) && !words.contains(Substring(String(value))))
      }
    }
  }

  /// What the README shows of the report is how the report begins.
  @Test func theReadmeShowsTheReport() throws {
    let readme = String(decoding: Corpus.bytes(Corpus.root + "/README.md"), as: UTF8.self)
    let (_, bytes) = try run([faulty])
    let report = String(decoding: bytes, as: UTF8.self)
    // Paths are longer here than where the README was written.
    let finding = report.split(separator: "\n", omittingEmptySubsequences: false)
      .drop { !$0.hasPrefix("missed-host-save") }.prefix { $0 != "What it cost" }
      .joined(separator: "\n")
    #expect(finding.count > 500 && readme.contains(finding + "...\n"))
    let first = report.prefix { $0 != "\n" }
    #expect(first.hasPrefix("FINDINGS: ") && readme.contains("\n\(first)\n"))
    // The verdict is one line, however long, for who reads one.
    let lines: [Substring] = report.split(separator: "\n")
    #expect(lines.dropFirst().allSatisfy { $0.count <= 80 })
  }
}

/// The key values in an event's slots.
private func keyValues(_ payload: Event.Payload) -> [UInt64] {
  guard case .probe(let hit) = payload else { return [] }
  return [hit.fields.guestKeys, hit.fields.hostKeys].compactMap(\.self).flatMap { keys in
    (0..<10).filter { !keys.isZero($0) }.map { keys.registers[$0] }
  }
}

private func == (a: (code: Int32, output: [UInt8]), b: (code: Int32, output: [UInt8])) -> Bool {
  a.code == b.code && a.output == b.output
}

/// What `--format json` promises, as far as the tests look.
private struct ReportShape: Decodable {
  struct Kernel: Decodable {
    var generation: String?
    var generationBasis: String
  }
  struct VCPU: Decodable {
    struct Counters: Decodable {
      var runs: Int
      var loads: Int
    }
    var vcpu: String?
    var tid: Int
    var identity: String
    var counters: Counters
  }
  struct Finding: Decodable {
    struct Evidence: Decodable {
      var time: UInt64
      var event: String
    }
    var rule: String
    var level: String
    var severity: String
    var count: Int
    var first: UInt64
    var last: UInt64
    var source: String?
    var evidence: [Evidence]
  }
  struct Hidden: Decodable { var rule: String }
  var schema: String
  var kernel: Kernel
  var verdict: String
  var vcpus: [VCPU]
  var findings: [Finding]
  var notObservable: [Hidden]
}

private struct LineShape: Decodable {
  var type: String
  var tid: Int
  var enter: UInt64?
  var exit: UInt64?
  var ret: String?
  var ec: Int?
  var api: [Int?]?
  var apk: [Int?]?
  var basis: [String]?
  var implied: Bool?
}
