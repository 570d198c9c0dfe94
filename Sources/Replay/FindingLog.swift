import Ptrauth

/// Collects occurrences into findings. Memory grows with rules and vCPUs, not with the trace.
struct FindingLog {
  /// Others are not taken.
  var admits: [Rule]?
  private var groups: [Key: Finding] = [:]
  private let ceiling: Finding.Level
  private struct Key: Hashable {
    var rule: String
    var level: Finding.Level
  }

  /// - Parameter ceiling: the most that a finding can be.
  init(ceiling: Finding.Level = .proved) { self.ceiling = ceiling }

  /// Adds one occurrence; `proof` is asked only for the first of its kind.
  mutating func add(
    _ rule: Rule, _ level: Finding.Level, vcpu: VCPUIdentity?, at moment: Moment,
    cost: Cost? = nil, count: UInt64 = 1, proof: () -> (String, [Evidence])
  ) {
    guard admits?.contains(rule) ?? true else { return }
    let level = min(level, ceiling)
    let key = Key(rule: rule.id, level: level)
    if groups[key] == nil {
      let (statement, evidence) = proof()
      groups[key] = Finding(
        rule: rule, level: level, count: 0, first: moment, last: moment, evidence: evidence,
        statement: statement, vcpus: [], cost: nil)
    }
    guard var finding = groups.removeValue(forKey: key) else { return }
    finding.count += count
    finding.last = moment
    if let cost { finding.cost = (finding.cost ?? Cost()) + cost }
    if let vcpu {
      if let i = finding.vcpus.firstIndex(where: { $0.identity.isSame(as: vcpu) }) {
        finding.vcpus[i].count += count
      } else {
        finding.vcpus.append((vcpu, count))
      }
    }
    groups[key] = finding
  }

  func contains(_ rule: Rule) -> Bool { groups.keys.contains { $0.rule == rule.id } }

  func sorted() -> [Finding] { groups.values.worstFirst }
}

extension Sequence<Finding> {
  /// Correctness before cost, then by severity, proved before static before suspected, and by the catalogue.
  var worstFirst: [Finding] {
    func rank(_ f: Finding) -> (Int, Int, Int, Int) {
      (
        f.rule.isCorrectness ? 0 : 1, -f.rule.severity.rawValue, -f.level.rawValue,
        Rule.all.firstIndex(of: f.rule) ?? Rule.all.count
      )
    }
    return sorted { rank($0) < rank($1) }
  }
}

extension VCPUIdentity {
  /// The same vCPU, whatever is known of its number.
  func isSame(as other: VCPUIdentity) -> Bool {
    pointer != nil ? pointer == other.pointer : (other.pointer == nil && thread == other.thread)
  }
}
