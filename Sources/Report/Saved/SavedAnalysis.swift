import Ptrauth
import Regression
import Replay

// The parts of a saved report that say what was found. What it does not show stays empty.

extension Analysis {
  init(_ saved: SavedObject, _ recording: SavedObject) throws(SavedFault) {
    self.init(
      reported: try saved.one("verdict", of: Verdict.allCases) { $0.word },
      firstTime: try recording.number("begin"), lastTime: try recording.number("end"),
      eventCount: try recording.amount("eventsUsed"))
    lostEvents = try recording.amounts("lost").map { (cpu: Int32($0.name) ?? -1, count: $0.value) }
    missingParts = try recording.texts("missingParts")
    leavesOutTasks = try recording.flag("someTasksOnly")
    sequenceBreaks = try recording.amount("sequenceBreaks")
    silentTails = try recording.numbers("silentTails")
      .map { (cpu: Int32($0.name) ?? -1, nanoseconds: $0.value) }
    if let silent = try recording.objectOrNull("silences") {
      silenceCount = try silent.amount("count")
      longestSilence = Silence(
        since: try silent.number("since"), until: try silent.number("until"),
        busyCPU: try silent.number("cpu"))
    }
    isIncomplete = try recording.flag("eventsMissing")
    for vcpu in try saved.objects("vcpus") { vcpus.append(try VCPU(vcpu)) }
    for cpu in try saved.objects("cpus") {
      cpus.append(
        PCPU(
          reported: try cpu.number("cpu"),
          state: PCPUState(
            live: KeyOwner(described: cpu.textOrNull("live")),
            hostSlots: HostSlots(described: cpu.textOrNull("hostSlots"))),
          hostSaves: try cpu.amount("hostSaves")))
    }
    for finding in try saved.objects("findings") { findings.append(try Finding(finding)) }
    for item in try saved.objects("notObservable") {
      notObservable.append(
        NotObservable(
          rule: try item.rule(), reason: try item.text("reason"),
          remedy: try item.text("remedy"), applies: try item.flag("applies")))
    }
    if let counted = try saved.objectOrNull("passes") { passes = try InstructionPasses(counted) }
    code = try CodeJudgement(try saved.object("code"))
    // Reports from before it was written have none.
    if case .list = saved.value["coverage"] {
      for covered in try saved.objects("coverage") { coverage.append(try Coverage(covered)) }
    }
    // One from before it was written is shown as the default would.
    if let name = saved.textOrNull("failOn") { failOn = Rule.Severity(name: name) }
    if let list = try saved.objectOrNull("known") { known = try Known(list) }
    if let filtered = try saved.objectOrNull("filtered") { selection = try Selection(filtered) }
    let required = try saved.object("required")
    requirement = Requirement(
      named: try required.rules("rules"),
      least: required.textOrNull("severity").flatMap { Rule.Severity(name: $0) })
    guard Sample(name: "", kernel: "", self).isPossible else {
      throw SavedFault(
        description: "\(saved.place)vcpus or findings add up to a count that no recording can have")
    }
  }
}

extension Analysis.Coverage {
  fileprivate init(_ saved: SavedObject) throws(SavedFault) {
    let seen: Int? = try saved.amountOrNull("vcpus")
    let concerned: Int? = try saved.amountOrNull("of")
    self.init(
      rule: try saved.rule(), situations: try saved.amount("situations"),
      vcpus: seen.flatMap { seen in concerned.map { VCPUs(seen: seen, concerned: $0) } })
  }
}

extension Known {
  fileprivate init(_ saved: SavedObject) throws(SavedFault) {
    self.init()
    func level(_ item: SavedObject) throws(SavedFault) -> Finding.Level {
      try item.one("level", of: [.proved, .static, .suspected]) { $0.word }
    }
    for item in try saved.objects("findings") {
      findings.append((rule: try item.rule(), level: try level(item)))
    }
    for item in try saved.objects("gone") {
      gone.append(
        Gone(
          rule: try item.text("rule"), level: try level(item), isJudged: try item.flag("judged")))
    }
  }
}

extension Selection {
  fileprivate init(_ saved: SavedObject) throws(SavedFault) {
    var rules: [Rule]?
    if case .list = saved.value["rules"] { rules = try saved.rules("rules") }
    self.init(
      words: try saved.text("options"), rules: rules,
      findings: try saved.object("findings").amount("of"),
      occurrences: try saved.object("occurrences").amount("of"), cpuCount: try saved.amount("cpus"),
      vcpuCount: try saved.amount("vcpus"), isOfPart: try saved.flag("judgedInWhole"),
      countersAreOfWhole: try saved.flag("countersOfWhole"))
  }
}

extension SavedObject {
  func rule() throws(SavedFault) -> Rule { try one("rule", of: Rule.all) { $0.id } }

  /// A list of rules.
  func rules(_ name: String) throws(SavedFault) -> [Rule] {
    var rules: [Rule] = []
    for id in try texts(name) {
      guard let rule = Rule(id: id) else {
        throw SavedFault(
          description: "\(place)\(name) has \"\(id)\", which this version does not know")
      }
      rules.append(rule)
    }
    return rules
  }

  /// vcpu, vcpuId and, where no pointer is known, the thread.
  func identity(_ kind: VCPUIdentity.Kind) -> VCPUIdentity {
    let pointer = value["vcpu"].address
    return VCPUIdentity(
      pointer: pointer, number: numberOrNull("vcpuId"),
      thread: pointer == nil ? numberOrNull("tid") : nil, kind: kind)
  }
}

extension Analysis.VCPU {
  fileprivate init(_ saved: SavedObject) throws(SavedFault) {
    let feature: Feature
    if saved.textOrNull("feature") == nil {
      feature = .unknown
    } else {
      feature = try saved.one("feature", of: [.both, .none, .partial]) { word($0) ?? "" }
    }
    let kind = try saved.one("identity", of: VCPUIdentity.Kind.allCases) { $0.words }
    self.init(
      reported: saved.identity(kind), tid: try saved.number("tid"),
      pid: saved.numberOrNull("pid") ?? -1, feature: feature,
      counters: try Counters(
        try saved.object("counters"), try saved.texts("lowerBounds"),
        try saved.textsOrNull("upperBounds") ?? []))
    vmm = saved.textOrNull("vmm")
  }
}

extension Counters {
  fileprivate init(
    _ saved: SavedObject, _ lowerBounds: [String], _ upperBounds: [String]
  ) throws(SavedFault) {
    self.init()
    loads = try saved.amount("loads")
    puts = try saved.amount("puts")
    runs = try saved.amount("runs")
    knownRuns = try saved.amount("knownRuns")
    enabledRuns = try saved.amount("enabledRuns")
    let traps = try saved.object("traps")
    instructionTraps = try traps.amount("pac")
    registerTraps = try traps.amount("keyRegister")
    hiddenTraps = try traps.amount("hidden")
    undefs = try saved.amount("undefs")
    resets = try saved.amount("resets")
    hostSaves = try saved.amount("hostSaves")
    keySwitches = try saved.amount("keySwitches")
    guestTime = try saved.number("guestTime")
    bounds = CounterBounds(
      lower: CounterSet(names: lowerBounds), upper: CounterSet(names: upperBounds))
  }
}

extension Finding {
  fileprivate init(_ saved: SavedObject) throws(SavedFault) {
    func moment(_ name: String) -> Moment? {
      saved.numberOrNull(name).map { Moment(time: $0, cpu: -1, tid: -1) }
    }
    self.init(
      reported: try saved.rule(),
      try saved.one("level", of: [.proved, .static, .suspected]) { $0.word },
      count: try saved.amount("count"), first: moment("first"), last: moment("last"),
      statement: try saved.text("statement"))
    for vcpu in try saved.objects("vcpus") {
      vcpus.append((identity: vcpu.identity(.thread), count: try vcpu.amount("count")))
    }
    if case .list = saved.value["causes"] {
      for cause in try saved.objects("causes") {
        causes.append(Cause(rule: try cause.rule(), count: try cause.amount("count")))
      }
    }
    if let paid = try saved.objectOrNull("cost") {
      cost = Cost(
        reads: try paid.amount("reads"), writes: try paid.amount("writes"),
        trips: try paid.amount("trips"))
    }
    for event in try saved.objects("evidence") {
      evidence.append(
        Evidence(
          Moment(
            time: try event.number("time"), cpu: try event.number("cpu"),
            tid: try event.number("tid")), try event.text("event"), try event.text("detail")))
    }
    guard case .list = saved.value["code"] else { return }
    for line in try saved.objects("code") {
      code.append(
        CodeLine(
          address: line.value["address"].address ?? 0,
          word: UInt32(truncatingIfNeeded: line.value["word"].address ?? 0),
          symbol: line.textOrNull("symbol"), source: line.textOrNull("source"),
          text: line.textOrNull("text")))
    }
  }
}

extension CodeJudgement {
  /// A report has the failures that are no findings and the open questions; of the others, how many.
  fileprivate init(_ saved: SavedObject) throws(SavedFault) {
    guard try saved.flag("audited") else {
      self.init(reason: saved.textOrNull("reason") ?? "no reason is known")
      return
    }
    func checks(
      _ name: String, _ outcome: CodeCheck.Outcome
    ) throws(SavedFault) -> [CodeCheck] {
      var checks: [CodeCheck] = []
      for item in try saved.objects(name) {
        var check = CodeCheck(
          .sites, outcome, at: try item.text("place"), try item.text("statement"),
          rule: item.textOrNull("rule").flatMap { Rule(id: $0) })
        check.part = .elsewhere
        checks.append(check)
      }
      return checks
    }
    var all = try checks("elsewhere", .fail) + checks("open", .cannotJudge)
    for (name, outcome) in [("passed", CodeCheck.Outcome.pass), ("failed", .fail)] {
      let count: UInt16 = try saved.amount(name)
      let missing = Int(count) - all.count { $0.outcome == outcome }
      all += Array(repeating: CodeCheck(.sites, outcome, at: "", ""), count: max(0, missing))
    }
    self.init(CodeAudit(checks: all, sites: []))
    rules = try saved.rules("rules")
  }
}

extension InstructionPasses {
  init(_ saved: SavedObject) throws(SavedFault) {
    func counts(_ saved: SavedObject) throws(SavedFault) -> PassCounts {
      var counts = PassCounts()
      counts.calls = try saved.amount("calls")
      counts.bailOuts = try saved.amount("bailOuts")
      counts.entries = try saved.amount("entries")
      counts.exits = try saved.amount("exits")
      counts.switchedEntries = try saved.amount("switchedEntries")
      counts.switchedExits = try saved.amount("switchedExits")
      counts.partialSwitches = try saved.amount("partialSwitches")
      counts.reads = try saved.amount("reads")
      counts.writes = try saved.amount("writes")
      return counts
    }
    var cpus: [(cpu: Int, passes: PassCounts)] = []
    for cpu in try saved.objects("cpus") {
      cpus.append((cpu: try cpu.number("cpu"), passes: try counts(cpu)))
    }
    self.init(
      event: saved.textOrNull("event") ?? "",
      certainty: try saved.one("certainty", of: [.exactly, .atLeast, .sample]) { $0.rawValue },
      reasons: try saved.texts("reasons"), cpus: cpus, byThread: [:],
      total: try counts(try saved.object("total")))
  }
}

extension KeyOwner {
  /// The inverse of what reports call it.
  fileprivate init(described text: String?) {
    let words = (text ?? "").split(separator: " ")
    let number = words.count > 1 ? words[1] : ""
    switch words.first {
    case "host": self = .host(process: Int32(number) ?? -1)
    case "kernel": self = Int32(number).map { .kernel(task: $0) } ?? .unknown
    case "guest": self = Int(number).map { .guest(vcpu: $0) } ?? .unknown
    default: self = .unknown
    }
  }
}

extension HostSlots {
  fileprivate init(described text: String?) {
    let words = (text ?? "").split(separator: " ")
    guard words.count == 2, let process = Int32(words[1]) else {
      self = .unknown
      return
    }
    self = words[0] == "valid" ? .valid(process: process) : .stale(process: process)
  }
}
