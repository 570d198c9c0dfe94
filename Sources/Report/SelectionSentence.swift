import Ptrauth
import Replay

/// Of what a report speaks that shows a part of its recording.
struct SelectionSentence {
  /// " of --vcpu 1 (1 of 5 findings)": belongs to the verdict's word.
  var caveat: String
  /// What is shown, what is not, and what of it covers the whole recording.
  var text: String

  /// nil: the report speaks of the whole.
  init?(_ analysis: Analysis) {
    guard let selection = analysis.selection else { return nil }
    let shown = "\(analysis.findings.count) of \(counted(UInt64(selection.findings), "finding"))"
    caveat = " of \(selection.words) (\(shown))"
    let times = analysis.findings.reduce(0) { $0 &+ $1.count }
    var parts = [
      "\(shown) shown (\(times) of \(counted(selection.occurrences, "occurrence"))), "
        + "\(analysis.vcpus.count) of \(counted(UInt64(selection.vcpuCount), "vCPU")), "
        + "\(analysis.cpus.count) of \(counted(UInt64(selection.cpuCount), "pCPU")): "
        + selection.words
    ]
    if selection.isOfPart { parts.append("which rules were judged is of the whole recording") }
    if selection.countersAreOfWhole {
      parts.append("the counters of vCPUs and pCPUs are of the whole recording")
    }
    text = parts.joined(separator: "; ")
  }
}
