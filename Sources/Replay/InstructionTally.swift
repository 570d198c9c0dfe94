public import KernelImage
public import Trace

/// Counts passes from the samples of a recording, each of its events for itself: two may show the same.
public struct InstructionTally {
  private var site: SwitchSite
  private let sources: [Int: InstructionSource]
  /// By event, and by pCPU or thread.
  private var lanes: [Int: [Int32: PassLane]] = [:]
  private var threads: [Int32: Int32] = [:]
  private var stacks: [Int: StackLanes] = [:]
  private var sampled: [Int: SampledPasses] = [:]
  /// Samples in the code, by event.
  private var hits: [Int: UInt64] = [:]
  private var openRuns: [Int32: UInt64] = [:]
  private var otherRuns: Set<Int32> = []
  private var calls: [Int32: UInt64] = [:]

  /// What a recording says of what it lacks, beside its samples.
  public struct Shortcomings: Sendable {
    public var lostSamples = false
    /// ``Recording/instructionGaps``.
    public var gaps: UInt64 = 0
    public var isCut = false
    /// The recorder was told to leave out code.
    public var isFiltered = false
    public init() {}
  }

  /// nil where the image lacks the code.
  ///
  /// - Parameters:
  ///   - slide: run-time minus link-time address, wrapping.
  ///   - flow: of the same image, if it is at hand.
  public init?(
    _ image: KernelImage, slide: UInt64, sources: [InstructionSource], flow: ControlFlow? = nil
  ) {
    guard let code = GuestSwitchCode(of: image) else { return nil }
    site = SwitchSite(code, slide: slide, flow ?? ControlFlow(image))
    self.sources = Dictionary(sources.map { ($0.number, $0) }) { first, _ in first }
  }

  package var flow: ControlFlow { site.flow }

  /// Run-time address of __guest_enter.
  public var address: UInt64 { site.address(0) }

  public mutating func take(_ sample: borrowing InstructionSample) {
    if case .lost = sample.content {
      for source in lanes.keys {
        guard sample.cpu < 0 else {
          lanes[source]?[sample.cpu]?.gap()
          continue
        }
        for lane in lanes[source]?.keys.map({ $0 }) ?? [] { lanes[source]?[lane]?.gap() }
      }
      return
    }
    guard let source = sources[sample.source], !source.isSpeculative else { return }
    let number = source.number
    let (cpu, tid) = (sample.cpu, sample.tid)
    let isGuest = sample.mode == .guest
    switch sample.content {
    case .branch(let branch):
      if !isGuest { note(branch.from, number, tid) }
      if source.isEvery {
        inLane(number, cpu, tid) { $0.take(branch, isGuest: isGuest, tid, &$1) }
        if site.index(branch.from) == nil { noteCall(branch.to, isGuest, tid) }
      } else if sample.mode == .kernel || sample.mode == .unknown {
        sampled[number, default: SampledPasses()].take(branch.from, cpu: cpu, tid: tid, site)
      }
    case .instruction:
      guard let address = sample.address else { return }
      if !isGuest { note(address, number, tid) }
      if source.isEvery {
        inLane(number, cpu, tid) { $0.take(address, isGuest: isGuest, tid, &$1) }
        noteCall(address, isGuest, tid)
      } else if sample.mode == .kernel || sample.mode == .unknown {
        sampled[number, default: SampledPasses()].take(address, cpu: cpu, tid: tid, site)
      }
    case .stack(let branches):
      for branch in branches { note(branch.from, number, tid) }
      stacks[number, default: StackLanes()].take(
        branches, cpu: cpu, tid: tid, isEvery: source.isEvery, &site)
    case .lost: break
    }
  }

  private mutating func note(_ address: UInt64, _ source: Int, _ tid: Int32) {
    if site.index(address) != nil { hits[source, default: 0] += 1 }
  }

  private mutating func noteCall(_ address: UInt64, _ isGuest: Bool, _ tid: Int32) {
    if !isGuest, address == site.address(0) { calls[tid, default: 0] += 1 }
  }

  private mutating func inLane(
    _ source: Int, _ cpu: Int32, _ tid: Int32,
    _ body: (inout PassLane, inout SwitchSite) -> Void
  ) {
    let key = cpu >= 0 ? cpu : -2 &- max(0, tid)
    var lane = lanes[source, default: [:]].removeValue(forKey: key) ?? PassLane()
    body(&lane, &site)
    lanes[source, default: [:]][key] = lane
    threads[key] = tid
  }

  /// Every run has a pass: a trace that lacks it does not cover the recording.
  public mutating func take(_ event: borrowing Event) {
    switch event.occurrence {
    case .entry: openRuns[event.tid] = calls[event.tid] ?? 0
    case .exit:
      guard let before = openRuns.removeValue(forKey: event.tid) else { return }
      if calls[event.tid] ?? 0 == before { otherRuns.insert(event.tid) }
    default: break
    }
  }

  /// The best that an event of the recording tells; nil if no sample lies in the code.
  public mutating func finish(_ lacks: Shortcomings) -> InstructionPasses? {
    var best: InstructionPasses?
    for number in sources.keys.sorted() where hits[number] ?? 0 > 0 {
      guard var found = finish(number, lacks) else { continue }
      found.threadsWithOtherRuns = otherRuns
      guard let known = best else {
        best = found
        continue
      }
      let order = (known.certainty, InstructionPasses.switched(known.total))
      if order < (found.certainty, InstructionPasses.switched(found.total)) { best = found }
    }
    return best
  }

  private mutating func finish(_ number: Int, _ lacks: Shortcomings) -> InstructionPasses? {
    guard let source = sources[number] else { return nil }
    if var own = lanes[number] {
      for key in own.keys.sorted() { own[key]?.finish(threads[key] ?? -1, &site) }
      let found = own.map { (cpu: max(-1, $0.key), passes: $0.value.passes) }
      return result(source, found, judge(own, lacks))
    }
    if let stack = stacks[number] {
      var reasons = ["stacks hold the last branches before a sample, and not those before them"]
      if !source.isEvery { reasons.append("not every kind of branch is in them") }
      return result(
        source, stack.passes.map { (cpu: $0.key, passes: $0.value) }, (.atLeast, reasons))
    }
    guard let samples = sampled[number] else { return nil }
    return result(
      source, samples.passes(site).map { (cpu: $0.key, passes: $0.value) },
      (.atLeast, ["not every instruction has a sample"]))
  }

  private func judge(
    _ lanes: [Int32: PassLane], _ lacks: Shortcomings
  ) -> (InstructionPasses.Certainty, [String]) {
    func times(_ count: UInt64) -> String { count == 1 ? "once" : "\(count) times" }
    let breaks = lanes.values.reduce(0) { $0 + $1.breaks }
    let gaps = lanes.values.reduce(lacks.gaps) { $0 + $1.gaps }
    let oneSided = lanes.values.reduce(0) { $0 + $1.oneSided }
    var total = PassCounts()
    for passes in lanes.values.flatMap(\.passes.values) { total.add(passes) }
    var reasons: [String] = []
    if breaks > 0 {
      reasons.append(
        "\(times(breaks)) a sample cannot follow the one before it in this kernel's code")
    }
    if oneSided > 0 {
      reasons.append("\(times(oneSided)) a pass switched keys at one of its ends only")
    }
    if !reasons.isEmpty { return (.sample, reasons) }
    if gaps > 0 { reasons.append("the trace is interrupted \(times(gaps))") }
    if lacks.lostSamples { reasons.append("samples were lost") }
    if lacks.isCut { reasons.append("the end of the recording is missing") }
    if lacks.isFiltered { reasons.append("the recorder's filter left out code") }
    if !total.isConsistent(cpus: lanes.count) {
      reasons.append("calls, entries and exits do not match")
    }
    return (reasons.isEmpty ? .exactly : .atLeast, reasons)
  }

  private func result(
    _ source: InstructionSource, _ found: [(cpu: Int32, passes: [Int32: PassCounts])],
    _ verdict: (InstructionPasses.Certainty, [String])
  ) -> InstructionPasses {
    var byCPU: [Int32: PassCounts] = [:]
    var byThread: [Int32: PassCounts] = [:]
    var total = PassCounts()
    for (cpu, threads) in found {
      for (tid, passes) in threads {
        byCPU[cpu, default: PassCounts()].add(passes)
        byThread[tid, default: PassCounts()].add(passes)
        total.add(passes)
      }
    }
    return InstructionPasses(
      event: source.name, certainty: verdict.0, reasons: verdict.1,
      cpus: byCPU.sorted { $0.key < $1.key }.map { (Int($0.key), $0.value) },
      byThread: byThread, total: total)
  }
}

extension PassCounts {
  package mutating func add(_ other: PassCounts) {
    calls += other.calls
    bailOuts += other.bailOuts
    entries += other.entries
    exits += other.exits
    switchedEntries += other.switchedEntries
    switchedExits += other.switchedExits
    partialSwitches += other.partialSwitches
    reads += other.reads
    writes += other.writes
  }
}

extension Analysis {
  /// Key switches as the instructions show them, by the threads of the vCPUs.
  ///
  /// Returns a sentence if the two contradict each other: then nothing is taken over.
  public mutating func take(_ passes: InstructionPasses) -> String? {
    guard passes.certainty != .sample else { return nil }
    let threads = vcpus.map(\.runThread)
    let own = vcpus.indices.compactMap { index -> (index: Int, thread: Int32)? in
      guard let thread = threads[index], threads.count(where: { $0 == thread }) == 1 else {
        return nil
      }
      return (index, thread)
    }
    func count(_ thread: Int32) -> UInt64 {
      passes.byThread[thread].map(InstructionPasses.switched) ?? 0
    }
    func isCovered(_ thread: Int32) -> Bool {
      passes.certainty == .exactly && !passes.threadsWithOtherRuns.contains(thread)
    }
    for (index, thread) in own where isCovered(thread) {
      guard count(thread) < vcpus[index].counters.keySwitches else { continue }
      return
        "thread \(thread): the events prove \(vcpus[index].counters.keySwitches) passes with a key "
        + "switch, and the instructions show \(count(thread)) only; they are not of the same run, or the trace "
        + "lacks a part"
    }
    for (index, thread) in own {
      vcpus[index].counters.keySwitches = max(
        vcpus[index].counters.keySwitches, count(thread))
      if isCovered(thread) { vcpus[index].counters.bounds.lower.remove(.keySwitches) }
    }
    // Without a run there is no pass.
    guard passes.certainty == .exactly, !isIncomplete else { return nil }
    for index in vcpus.indices where vcpus[index].counters.runs == 0 {
      vcpus[index].counters.bounds.lower.remove(.keySwitches)
    }
    return nil
  }
}
