import ArgumentParser
import Glibc
import Ptrauth
import Report
import Testing

@testable import ptrauth_trace

/// Every format of every recording in traces/ is byte for byte the file that somebody read.
/// `UPDATE_GOLDEN=1 swift test --filter GoldenTests` writes them anew: read them again.
struct GoldenTests {
  static let formats: [ReportFormat] = [.ktap, .junit, .sarif, .github, .kcidb, .lava, .csv]

  @Test(arguments: formats, Corpus.traces)
  func theFormatIsTheGoldenFile(format: ReportFormat, corpus: Corpus) throws {
    let document = try #require(
      Documents.real.first { corpus.recording.hasSuffix($0.recording.path) })
    let bytes = try render(document, format)
    let path =
      Corpus.root + "/Tests/CommandTests/Golden/"
      + "\(corpus.directory.split(separator: "/").last ?? "").\(format.rawValue)"
    if unsafe getenv("UPDATE_GOLDEN") != nil { Corpus.write(bytes, to: path) }
    let golden = Corpus.bytes(path)
    #expect(!golden.isEmpty)
    guard bytes != golden else { return }
    let lines = [bytes, golden].map { String(decoding: $0, as: UTF8.self).split(separator: "\n") }
    let same = zip(lines[0], lines[1]).prefix { $0 == $1 }.count
    Issue.record(
      """
      \(path): line \(same + 1) is not
      \(lines[1].dropFirst(same).first ?? "(end)")
      but
      \(lines[0].dropFirst(same).first ?? "(end)")
      """)
  }

  private func render(_ document: Document, _ format: ReportFormat) throws -> [UInt8] {
    if let report = MachineReport(format, try KCIDBOptions.parse([])) {
      return report.render([TestSuite(document, failOn: .medium)])
    }
    return switch format {
    case .json: JSONReport.render(document)
    default: Array(TextReport.render(document, style: Style(isColoured: false)).utf8)
    }
  }
}
