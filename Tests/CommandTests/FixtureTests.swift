import FoundationEssentials
import Glibc
import Testing
import ptrauth_trace

/// Every file that others made, through the command: read with the counts of the reference decode beside
/// it, or refused with one sentence that says why. None of them is of arm64, so none may succeed.
@Suite(.enabled(if: Corpus.hasShared, "needs ../shared"))
struct FixtureTests {
  static let root = Corpus.root + "/../shared/fixtures"

  struct Shape: Decodable {
    struct Recording: Decodable {
      var incomplete: Bool?
      var warnings: [String]?
    }
    var recording: Recording
    var verdict: String?
    /// `analyze`: why it is refused.
    var error: String?
    /// `info`: by event.
    var events: [String: UInt64]?
  }

  static let files: [String] = {
    let listing = output("cd '\(root)' && find . -type f && find . -name '*.perf.data' -type d")
    return listing.split(separator: "\n").map { String($0.dropFirst(2)) }.sorted()
  }()

  static func output(_ command: String) -> String {
    guard let stream = unsafe popen("\(command) 2>/dev/null", "r") else { return "" }
    defer { unsafe pclose(stream) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe fread(&buffer, 1, buffer.count, stream)
      if count == 0 { return String(decoding: bytes, as: UTF8.self) }
      bytes += buffer[..<count]
    }
  }

  /// Files that are no recordings, or cannot be read; and words of the reason.
  static let refused: [(ending: String, says: String)] = [
    (".md", "neither perf.data nor trace.dat nor ftrace text"),
    (".pb_text.zst", "neither perf.data nor trace.dat nor ftrace text"),
    (".json", "neither perf.data nor trace.dat nor ftrace text"),
    ("perf.data.true.v1", "version 1"),
    ("perf.data.broken.gz", "neither perf.data nor trace.dat nor ftrace text"),
    ("dir.perf.data/data.0", "pass its directory"),
    ("dir.perf.data/data.1", "pass its directory"),
    ("trace.hex.txt", "nohex"),
    ("trace.raw.txt", "noraw"),
    ("trunc.trace.dat.zst", "the file is cut, or its recorder was killed"),
  ]

  /// Samples or events of files that have no decode beside them: by perf script, perf report
  /// --stats, trace-cmd report, or grep.
  static let counted: [String: UInt64] = [
    "perf.data.true.v2": 1, "perf.data.true.v2.gz": 1, "perf.data.PerfFormatLost": 34,
    "contentsize.data": 69, "probe.data.file": 1, "probe.data.stream": 1,
    "header_features_aligned-6.12": 9, "no_attr_ids-4.14": 7, "zero_size_sample-3.2": 0,
    "fibo.compressed2.pipe.data": 547, "sleep.compressed.data": 8,
    "sleep.compressed.pipe.data": 8, "sleep.compressed2.data": 7,
    "sleep.compressed2.pipe.data": 7, "sleep.data": 7, "cg.perf.data": 362, "dir.perf.data": 1898,
    "dir.perf.data/data": 1898, "killed.perf.data": 10034, "lost.perf.data": 7862,
    "mono.perf.data": 2909, "ovw.perf.data": 627, "pipe.perf.data": 4308,
    "pipez.perf.data": 2528, "single.perf.data": 218, "trunc.perf.data": 1492,
    "z.perf.data": 3289, "trace_pipe.txt": 2998, "trace.overrun.txt": 87,
    "microsoft+LinuxTracepoints/TestOutput/perf.data": 539,
  ]

  static let incomplete = [
    "zero_size_sample-3.2", "sleep.compressed2.pipe.data", "killed.perf.data", "trunc.perf.data",
  ]

  @Test(arguments: files)
  func isReadAsItsDecodeSaysOrRefused(file: String) throws {
    let path = Self.root + "/" + file
    let run = try CommandRun([path, "--format", "json"])
    #expect(run.code == 2, "of x86, or no recording")
    if let (_, says) = Self.refused.first(where: { file.hasSuffix($0.ending) }) {
      #expect(run.output.isEmpty)
      // In a call with others the sentence is in the document.
      let both = try CommandRun([path, path, "--format", "json"])
      struct Refusal: Decodable { var error: String? }
      let refusals = try JSONDecoder().decode([Refusal].self, from: Data(both.output))
      let sentence = try #require(refusals.first?.error)
      #expect(sentence.contains(says), "\(sentence)")
      #expect(sentence.hasPrefix(path) && !sentence.contains("\n"))
      return
    }
    let shape = try JSONDecoder().decode(Shape.self, from: Data(run.output))
    #expect(shape.verdict == "unusable")
    let reasons = (shape.error.map { [$0] } ?? []) + (shape.recording.warnings ?? [])
    #expect(
      reasons.contains {
        $0.contains("only KVM on arm64") || $0.contains("not arm64's")
          || $0.contains("no kvm_entry was recorded") || $0.contains("never hit")
          || $0.contains("it is cut or damaged, and guests may have run in what is missing")
      }, "says why: \(reasons)")
    #expect(reasons.allSatisfy { !$0.isEmpty && !$0.contains("\n") })
    // What is in it all the same.
    let info = try CommandRun(Info.self, [path, "--format", "json"])
    let contents = try JSONDecoder().decode(Shape.self, from: Data(info.output))
    // Losses make it incomplete too.
    if Self.incomplete.contains(where: { file.hasSuffix($0) }) {
      #expect(contents.recording.incomplete == true)
    }
    let count = (contents.events ?? [:]).values.reduce(0, +)
    if let expected = try Self.expected(file, path) {
      #expect(count == expected)
    } else {
      #expect(count > 0)
    }
  }

  /// Of the decode beside it, of trace-cmd or perl, or of the table.
  private static func expected(_ file: String, _ path: String) throws -> UInt64? {
    if Corpus.exists(path + ".pb_text.zst") {
      return UInt64(output("zstdcat '\(path).pb_text.zst' | grep -c '^  sample_event {'").trimmed)
    }
    if file.hasSuffix(".dat") || file.hasSuffix(".dat.zst") {
      let plain = "/tmp/ptrauth-trace-fixture-\(getpid())-\(UInt64.random(in: 0 ... .max)).dat"
      defer { unsafe unlink(plain) }
      let copy = file.hasSuffix(".zst") ? "zstd -dqf '\(path)' -o" : "cp '\(path)'"
      return UInt64(
        output(
          "\(copy) \(plain); trace-cmd report -N -i \(plain) | grep -cE '[0-9]: +[a-z0-9_]+: '"
        ).trimmed)
    }
    let known = counted.first { name, _ in
      file == name || file.hasSuffix("/" + name) || file.hasSuffix("." + name)
    }
    if let known { return known.value }
    if file.hasSuffix(".txt") || file.hasSuffix(".html") {
      return UInt64(
        output(
          #"perl -ne '$n++ if /^.*?\s(?:\d+\.\d+|\d+us.):\s+\w+:(?:\s|$)/; END { print $n }' '\#(path)'"#
        ).trimmed)
    }
    Issue.record("\(file) has no reference")
    return nil
  }
}

extension String {
  fileprivate var trimmed: String { String(filter { !$0.isWhitespace }) }
}
