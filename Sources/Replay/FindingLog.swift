public import Ptrauth

/// Collects occurrences into findings. Memory grows with rules and vCPUs, not with the trace.
struct FindingLog {
  /// Others are not taken.
  var admits: [Rule]?
  /// What of it is shown; nil: all.
  private let scope: Scope?
  private typealias Groups = [Key: Group]
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
      groups[key] = Group(
        finding: Finding(
          rule: rule, level: level, count: 0, first: moment, last: moment, evidence: evidence,
          statement: statement, vcpus: [], cost: nil))
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
    for (key, group) in groups where key.level == .proved {
      guard group.finding.rule.isCorrectness, !rules.contains(group.finding.rule) else { continue }
      groups[key] = nil
      var lowered = group
      lowered.finding.level = .suspected
      let place = Key(rule: key.rule, level: .suspected)
      if let other = groups[place]?.finding {
        lowered.finding.count += other.count
        for vcpu in other.vcpus { lowered.count(vcpu.identity, vcpu.count) }
        lowered.finding.causes += other.causes
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

  /// Takes over findings of rules that nothing here proves.
  mutating func addUnproved(_ other: FindingLog) {
    for (key, group) in other.groups where !proves(group.finding.rule) && groups[key] == nil {
      groups[key] = group
    }
    for (key, group) in other.chosen where !proves(group.finding.rule) && chosen[key] == nil {
      chosen[key] = group
    }
  }

  /// Saves that traps or loads imply were not made (and not because a load left the bits set).
  var hasSkippedSaves: Bool {
    groups.values.contains { group in
      group.finding.rule == .missedHostSave
        && group.finding.causes.reduce(0) { $0 + $1.count } < group.finding.count
    }
  }

  /// Takes out what saves cost: they are not known to have been made.
  mutating func leaveOutSaves() {
    Self.leaveOutSaves(&groups)
    Self.leaveOutSaves(&chosen)
  }

  private static func leaveOutSaves(_ groups: inout Groups) {
    for key in groups.keys {
      switch groups[key]?.finding.rule {
      case Rule.redundantHostSave?: groups[key] = nil
      case Rule.lazyThrash?, Rule.wastedTrap?: groups[key]?.finding.cost?.reads = 0
      default: break
      }
    }
  }

  /// All, whatever is shown.
  func sorted() -> [Finding] { groups.values.map(\.finding).worstFirst }

  func shown() -> [Finding] { (scope == nil ? groups : chosen).values.map(\.finding).worstFirst }
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

/// A finding that grows.
private struct Group {
  var finding: Finding
  /// Where each vCPU is in the finding's list, which has as many as the recording.
  private var places: [VCPUAnchor: Int] = [:]

  init(finding: Finding) { self.finding = finding }

  /// One more occurrence, or `count` of them.
  mutating func take(
    _ vcpu: VCPUIdentity?, _ moment: Moment, _ cost: Cost?, _ count: UInt64, _ cause: Rule?
  ) {
    finding.count += count
    finding.last = moment
    if let cause {
      if let i = finding.causes.firstIndex(where: { $0.rule == cause }) {
        finding.causes[i].count += count
      } else {
        finding.causes.append(Finding.Cause(rule: cause, count: count))
      }
    }
    if let cost { finding.cost = (finding.cost ?? Cost()) + cost }
    if let vcpu { self.count(vcpu, count) }
  }

  mutating func count(_ vcpu: VCPUIdentity, _ count: UInt64) {
    let anchor = VCPUAnchor(vcpu)
    if let place = places[anchor] {
      finding.vcpus[place].count += count
    } else {
      places[anchor] = finding.vcpus.count
      finding.vcpus.append((vcpu, count))
    }
  }
}

extension Finding {
  /// The rule that at least half of the occurrences follow from.
  public var mainCause: Rule? { causes.first { $0.count * 2 >= count }?.rule }
}

/// What stays the same of a vCPU, whatever becomes known of its number.
private struct VCPUAnchor: Hashable {
  private var pointer: UInt64?
  private var thread: Int32?

  init(_ identity: VCPUIdentity) {
    pointer = identity.pointer
    thread = pointer == nil ? identity.thread : nil
  }
}
