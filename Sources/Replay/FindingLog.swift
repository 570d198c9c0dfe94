public import Ptrauth

/// Collects occurrences into findings. Memory grows with rules and vCPUs, not with the trace.
struct FindingLog {
  /// Others are not taken.
  var admits: [Rule]?
  /// What of it is shown; nil: all.
  private let scope: Scope?
  private typealias Groups = [Key: Finding]
  private var groups: Groups = [:]
  /// Those of `scope`.
  private var chosen: Groups = [:]
  private let ceiling: Finding.Level
  /// What each sample asks: whether one is of `stale-host-context`, and how many occurrences are of the rules that tell
  /// why a sample was not what the model left possible.
  private(set) var hasStaleContext = false
  private(set) var explanations: UInt64 = 0
  private struct Key: Hashable {
    var rule: String
    var level: Finding.Level
  }

  private static let explaining = Set(Replayer.explaining.map(\.id))

  /// - Parameter ceiling: the most that a finding can be.
  init(ceiling: Finding.Level = .proved, scope: Scope? = nil) {
    self.ceiling = ceiling
    self.scope = scope
  }

  /// Adds one occurrence; `proof` is asked only for the first of its kind.
  ///
  /// - Parameter cause: what was broken at the same entry, and has this as its consequence.
  mutating func add(
    _ rule: Rule, _ level: Finding.Level, vcpu: VCPUIdentity?, at moment: Moment,
    cost: Cost? = nil, count: UInt64 = 1, cause: Rule? = nil, proof: () -> (String, [Evidence])
  ) {
    guard admits?.contains(rule) ?? true else { return }
    if rule.id == Rule.staleHostContext.id { hasStaleContext = true }
    if Self.explaining.contains(rule.id) { explanations += count }
    func add(to groups: inout Groups) {
      Self.add(
        rule, min(level, ceiling), vcpu, moment, cost, count, cause, to: &groups, proof: proof)
    }
    add(to: &groups)
    if let scope, scope.admits(rule, vcpu, moment) { add(to: &chosen) }
  }

  private static func add(
    _ rule: Rule, _ level: Finding.Level, _ vcpu: VCPUIdentity?, _ moment: Moment, _ cost: Cost?,
    _ count: UInt64, _ cause: Rule?, to groups: inout Groups, proof: () -> (String, [Evidence])
  ) {
    let key = Key(rule: rule.id, level: level)
    if groups[key] == nil {
      let (statement, evidence) = proof()
      groups[key] = Finding(
        rule: rule, level: level, count: 0, first: moment, last: moment, evidence: evidence,
        statement: statement, vcpus: [], cost: nil)
    }
    guard let place = groups.index(forKey: key) else { return }
    groups.values[place].take(vcpu, moment, cost, count, cause)
  }

  /// Lowers what is proved to suspected, but of these rules.
  mutating func lower(except rules: [Rule]) {
    Self.lower(&groups, except: rules)
    Self.lower(&chosen, except: rules)
  }

  private static func lower(_ groups: inout Groups, except rules: [Rule]) {
    for (key, finding) in groups where key.level == .proved {
      guard finding.rule.isCorrectness, !rules.contains(finding.rule) else { continue }
      groups[key] = nil
      var lowered = finding
      lowered.level = .suspected
      let place = Key(rule: key.rule, level: .suspected)
      if let other = groups[place] {
        lowered.count += other.count
        for vcpu in other.vcpus {
          if let i = lowered.vcpus.firstIndex(where: { $0.identity.isSame(as: vcpu.identity) }) {
            lowered.vcpus[i].count += vcpu.count
          } else {
            lowered.vcpus.append(vcpu)
          }
        }
        lowered.causes += other.causes
      }
      groups[place] = lowered
    }
  }

  /// Lowers what is proved of this rule to suspected.
  mutating func lower(only rule: Rule) {
    lower(except: Rule.all.filter { $0 != rule })
  }

  func proves(_ rule: Rule) -> Bool {
    groups.keys.contains { $0.rule == rule.id && $0.level == .proved }
  }

  func contains(_ rule: Rule) -> Bool { groups.keys.contains { $0.rule == rule.id } }

  /// All, whatever is shown.
  func sorted() -> [Finding] { groups.values.worstFirst }

  func shown() -> [Finding] { (scope == nil ? groups : chosen).values.worstFirst }
}

extension Sequence<Finding> {
  /// Correctness before cost, then by severity, proved before static before suspected, and by the catalogue.
  package var worstFirst: [Finding] {
    func rank(_ f: Finding) -> (Int, Int, Int, Int) {
      (
        f.rule.isCorrectness ? 0 : 1, -f.rule.severity.rawValue, -f.level.rawValue,
        Rule.all.firstIndex(of: f.rule) ?? Rule.all.count
      )
    }
    return causesFirst(sorted { rank($0) < rank($1) })
  }

  /// What follows from another finding, mostly, stands behind it.
  private func causesFirst(_ sorted: [Finding]) -> [Finding] {
    var ordered = sorted.filter { $0.mainCause == nil }
    for finding in sorted {
      guard let cause = finding.mainCause else { continue }
      if let place = ordered.lastIndex(where: { $0.rule == cause || $0.mainCause == cause }) {
        ordered.insert(finding, at: place + 1)
      } else {
        ordered.append(finding)
      }
    }
    return ordered
  }
}

extension Finding {
  /// One more occurrence, or `count` of them.
  fileprivate mutating func take(
    _ vcpu: VCPUIdentity?, _ moment: Moment, _ cost: Cost?, _ count: UInt64, _ cause: Rule?
  ) {
    self.count += count
    last = moment
    if let cause {
      if let i = causes.firstIndex(where: { $0.rule == cause }) {
        causes[i].count += count
      } else {
        causes.append(Finding.Cause(rule: cause, count: count))
      }
    }
    if let cost { self.cost = (self.cost ?? Cost()) + cost }
    if let vcpu {
      if let i = vcpus.firstIndex(where: { $0.identity.isSame(as: vcpu) }) {
        vcpus[i].count += count
      } else {
        vcpus.append((vcpu, count))
      }
    }
  }
}

extension Finding {
  /// The rule that at least half of the occurrences follow from.
  public var mainCause: Rule? { causes.first { $0.count * 2 >= count }?.rule }
}

extension VCPUIdentity {
  /// The same vCPU, whatever is known of its number.
  func isSame(as other: VCPUIdentity) -> Bool {
    pointer != nil ? pointer == other.pointer : (other.pointer == nil && thread == other.thread)
  }
}
