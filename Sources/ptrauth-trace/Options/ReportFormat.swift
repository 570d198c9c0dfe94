import ArgumentParser

/// How `analyze` shows its result.
package enum ReportFormat: String, ExpressibleByArgument, CaseIterable {
  case text, json, jsonl, html, perfetto
  /// For `merge`.
  case summary
  // For CI systems: see MachineReport.
  case ktap, junit, sarif, github, kcidb, lava, csv
}
