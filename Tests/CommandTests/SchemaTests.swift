import Fleet
import Glibc
import Ptrauth
import Replay
import Report
import Testing
import ptrauth_trace

/// The schemas of traces/schemas say what is written.
struct SchemaTests {
  private static let folder = Corpus.root + "/traces/schemas/"

  /// How many documents of `files` the schema takes.
  private func check(_ schema: String, _ files: [String]) throws -> Int {
    let ran = try Program.validate("schemas.py", [Self.folder + schema + ".json"] + files)
    guard ran.code == 0 else { throw Reader.Refusal(description: ran.errors) }
    return Int(ran.output.filter(\.isNumber)) ?? 0
  }

  private func check(_ schema: String, _ documents: [[UInt8]]) throws -> Int {
    let base = "/tmp/ptrauth-trace-schema-\(getpid())-\(UInt64.random(in: 0 ... .max))-"
    let files = documents.indices.map { base + String($0) }
    defer { for file in files { unsafe unlink(file) } }
    for (file, document) in zip(files, documents) { Corpus.write(document, to: file) }
    return try check(schema, files)
  }

  @Test func goldenFilesFit() throws {
    let golden = Corpus.root + "/Tests/CommandTests/Golden/"
    let names = Corpus.traces.map { golden + $0.shortName }
    #expect(try check("analysis", names.map { $0 + ".json" }) == names.count)
    #expect(try check("lines", names.map { $0 + ".jsonl" }) > 500)
    let comparisons = GoldenTests.comparisons.map { golden + "compare-\($0.0).json" }
    #expect(try check("comparison", comparisons) == comparisons.count)
  }

  /// What no golden file shows: losses, guests, code, several recordings, and those that cannot be read.
  @Test func otherDocumentsFit() throws {
    var required = Documents.blind
    required.analysis.require(.init(named: [.missedHostSave], least: .critical))
    let documents = [
      Documents.incomplete(Documents.faulty), Documents.unusable, Documents.hostile, required,
      Documents.blind,
    ].map(JSONReport.render)
    let refused = JSONReport.refused(path: "a", sentence: "b")
    let array = Array("[".utf8) + documents[0] + Array(",".utf8) + refused + Array("]".utf8)
    #expect(try check("analysis", documents + [refused, array]) == documents.count + 2)
  }

  @Test func otherCommandsFit() throws {
    func run(_ arguments: [String]) throws -> [UInt8] {
      let ran = try Program.run(Program.command, arguments + ["--format", "json"])
      return Array(ran.output.utf8)
    }
    let recording = "traces/v7-good/perf.data"
    #expect(try check("info", [run(["info", recording, "/nonexistent"])]) == 1)
    #expect(try check("whatif", [run(["whatif", recording])]) == 1)
    #expect(
      try check("audit", [run(["audit", "traces/v7-trap-skips-host-save/vmlinux.slim.zst"])]) == 1)
    #expect(try check("audit", [run(["audit", "README.md"])]) == 1)
    #expect(try check("rules", [run(["explain"])]) == 1)
    let verifications = [
      ["verify", "--generation", "v7"], ["verify", "--fault", "trap-skips-host-save"],
    ]
    #expect(try check("verification", verifications.map(run)) == 2)
  }

  @Test func summariesFit() throws {
    let lines = SummaryLine.fixed + [SummaryLine.hostile] + FleetNight.lines(recordings: 12)
    #expect(try check("summary", lines) == lines.count)
    var fleet = Fleet(by: .everything)
    for line in lines {
      guard case .tally(let tally, let group) = try SavedSummary(line) else { continue }
      fleet.add(tally, of: group)
    }
    fleet.damaged.add("a.jsonl:7", 1)
    let merged = SummaryReport.render(fleet).split(separator: UInt8(ascii: "\n")).map(Array.init)
    #expect(try check("summary", merged) == merged.count)
    let reports = [fleet, Fleet(by: .kernels)].map {
      FleetJSON.render(FleetReport($0, failOn: .high))
    }
    #expect(try check("fleet", reports) == 2)
  }

  @Test func everyFormatHasItsSchema() throws {
    for format in JSONFormat.allCases where format != .picture {
      let name = format.rawValue.prefix { $0 != "/" }
      let schema = String(decoding: Corpus.bytes(Self.folder + name + ".json"), as: UTF8.self)
      #expect(schema.contains("\"const\": \"\(format.name)\""), "\(name)")
      let page = String(decoding: Corpus.bytes(Self.folder + "README.md"), as: UTF8.self)
      #expect(page.contains("| \(name).json | \(format.name) |"), "\(name)")
    }
  }

  /// A check that cannot fail is none.
  @Test func aMemberThatNobodyNamedIsRefused() throws {
    let text = String(decoding: JSONReport.render(Documents.clean), as: UTF8.self)
    for (member, other) in [("\"vcpuId\"", "\"vcpu_id\""), ("\"eventsUsed\"", "\"used\"")] {
      #expect(throws: Reader.Refusal.self) {
        try check("analysis", [Array(text.replacing(member, with: other).utf8)])
      }
    }
  }
}
