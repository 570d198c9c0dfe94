import Report

/// A report for CI systems: each recording a suite, each rule a test case.
struct MachineReport {
  private let format: ReportFormat

  /// nil for the formats that people and scripts read.
  init?(_ format: ReportFormat) {
    switch format {
    case .ktap, .junit: self.format = format
    default: return nil
    }
  }

  func render(_ suites: [TestSuite]) -> [UInt8] {
    switch format {
    case .ktap: Array(KTAPReport.render(suites).utf8)
    case .junit: Array(JUnitReport.render(suites).utf8)
    default: []
    }
  }
}
