import ArgumentParser
import Bytes
package import Report

/// A report for CI systems: each recording a suite, each rule a test case.
package struct MachineReport {
  private let format: ReportFormat
  private let kcidb: KCIDBOptions
  private let suite: String

  /// nil for the formats that people and scripts read.
  package init?(
    _ format: ReportFormat, _ kcidb: KCIDBOptions, suite: String = SuiteNames.standard
  ) {
    switch format {
    case .ktap, .junit, .sarif, .github, .kcidb, .lava, .csv: self.format = format
    default: return nil
    }
    self.kcidb = kcidb
    self.suite = suite
  }

  package func render(_ unnamed: [TestSuite]) -> [UInt8] {
    let suites = SuiteNames.give(suite, to: unnamed)
    return switch format {
    case .ktap: Array(KTAPReport.render(suites).utf8)
    case .junit: Array(JUnitReport.render(suites).utf8)
    case .sarif: SARIFReport.render(suites, version: ToolVersion.number)
    case .github: Array(GitHubReport.render(suites).utf8)
    case .kcidb:
      KCIDBReport(origin: kcidb.kcidbOrigin, buildID: kcidb.kcidbBuildID).render(suites)
    case .lava: Array(LAVAReport.render(suites).utf8)
    case .csv: Array(CountersCSV.render(suites).utf8)
    default: []
    }
  }

  /// What a format writes besides its output: GitHub's step summary, to the file GitHub names.
  func writeSummary(_ suites: [TestSuite]) throws(ByteSinkError) {
    guard format == .github, let path = ProcessState.environment["GITHUB_STEP_SUMMARY"],
      !path.isEmpty
    else { return }
    let sink = try ByteSink(appendingTo: path)
    try sink.write(GitHubSummary.render(suites))
    try sink.finish()
  }
}
