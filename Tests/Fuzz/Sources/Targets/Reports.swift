import Ptrauth
import Regression

extension Target {
  /// JSON reports that compare reads, on both sides.
  static let report = Target(name: "report") { bytes, _ in
    guard let samples = try? ReportDocument.samples(in: bytes, name: "report.json"),
      let first = samples.first
    else { return }
    let comparison = Comparison(base: samples, new: [first])
    _ = (comparison.findings, comparison.newIsBlind, comparison.lostFromSight(.low))
  }
}
