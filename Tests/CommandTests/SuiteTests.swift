import ArgumentParser
import Ptrauth
import Replay
import Report
import Testing
import ptrauth_trace

/// What tests are called does not change when a recording lies elsewhere.
struct SuiteTests {
  private static func moved(_ document: Document, to path: String) -> Document {
    var document = document
    document.recording.path = path
    return document
  }

  private static func render(
    _ paths: [String], _ format: ReportFormat, _ options: [String] = []
  ) throws -> String {
    let suite = try SuiteOptions.parse(options).suite
    let report = try #require(MachineReport(format, try KCIDBOptions.parse([]), suite: suite))
    let suites = paths.map {
      TestSuite(moved(Documents.faulty, to: $0), failOn: .medium)
    }
    return String(decoding: report.render(suites), as: UTF8.self)
  }

  @Test(arguments: [ReportFormat.ktap, .junit, .lava, .kcidb])
  func thePathIsAFactNotAName(format: ReportFormat) throws {
    let (here, there) = ("a/b/perf.data", "/elsewhere/1.data")
    let text = try Self.render([here], format)
    #expect(text.contains(here))
    #expect(text.replacing(here, with: there) == (try Self.render([there], format)))
    let named = try Self.render([here], format, ["--suite", "kvm-lab"])
    #expect(format == .kcidb ? named != text : named.contains("kvm-lab"))
  }

  /// So is an alert.
  @Test func fingerprintsDoNotKnowThePath() throws {
    var document = Documents.faulty
    document.kernel.sources = [:]
    func prints(_ path: String) -> [Substring] {
      let suite = TestSuite(Self.moved(document, to: path), failOn: .medium)
      return String(decoding: SARIFReport.render([suite], version: "1"), as: UTF8.self)
        .split(separator: "\n").filter { $0.contains("primaryLocationLineHash") }
    }
    #expect(prints("a.data") == prints("b/c.data") && !prints("a.data").isEmpty)
  }

  @Test func severalAreToldApartByAsLittleAsNeeded() throws {
    #expect(SuiteNames.distinct(["x/a.data", "y/b.data"]) == ["a.data", "b.data"])
    #expect(SuiteNames.distinct(["x/1/p", "x/2/p", "q"]) == ["1/p", "2/p", "q"])
    #expect(SuiteNames.distinct(["p", "p", "./p"]) == ["p", "p#2", "./p"])
    let text = try Self.render(["x/1/p", "x/2/p"], .ktap, ["--suite", "lab"])
    #expect(text.contains("\nnot ok 1 lab/1/p\n") && text.contains("\nnot ok 2 lab/2/p\n"))
    let junit = try Self.render(["x/1/p.data", "x/2/p.data"], .junit)
    #expect(junit.contains("classname=\"ptrauth-trace.1.p_data\""))
    #expect(junit.contains("<property name=\"recording\" value=\"x/1/p.data\"/>"))
  }

  @Test(arguments: ["", "a b", "a#b", "a\nb"])
  func aNameThatBreaksAFormatIsAUsageError(name: String) {
    #expect(throws: (any Error).self) { try Analyze.parse(["--suite", name]) }
  }
}
