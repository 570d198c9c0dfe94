import Ptrauth
public import Replay

/// Collects a timeline for a picture. Memory is bounded, whatever the length of the recording: lanes are
/// cut into slices that widen as time goes on, single marks are kept where they are few or matter
/// (``MarkKeeper``).
public struct TimelineCollector {
  /// Slices of all lanes together, and lanes at most.
  package static let sliceBudget = 98_304
  package static let laneLimit = 768
  static let flagLimit = 4096

  private var numbers = LaneNumbers()
  private var vcpuBins: [TimeBins] = []
  private var cpuNumbers: [Int32: Int] = [:]
  private var cpuBins: [TimeBins] = []
  /// Slices are `1 << shift` ns wide; slice 0 begins at `base << shift`.
  private var shift: UInt64 = 6
  private var base: UInt64?
  private var sliceCount = 16_384
  private var marks = MarkKeeper()
  private var flags: [PlacedMark] = []
  private var flagsLeftOut: UInt64 = 0
  private var lanesLeftOut: Set<Int32> = []
  private var surrounded: Set<[Int]> = []
  private var begin = UInt64.max
  private var end: UInt64 = 0
  /// Where each vCPU is loaded since when, and when it was last seen there.
  private var loads: [(cpu: Int32, since: UInt64, seen: UInt64)?] = []

  /// Losses after which nothing was seen yet of whose keys the pCPU has.
  private var openGaps: [Int32: (begin: UInt64, loss: UInt64)] = [:]
  private var gaps: [(cpu: Int32, begin: UInt64, end: UInt64)] = []

  public init() {}

  /// - Parameter sliceCount: of each lane, a power of two.
  package init(sliceCount: Int) { self.sliceCount = sliceCount }

  public mutating func add(_ entry: TimelineEntry) {
    switch entry {
    case .run(let run): add(run)
    case .load(let identity, let at, let isImplied):
      guard let lane = lane(identity) else { return }
      place(at.time)
      closeLoad(lane, nil)
      loads[lane] = (at.cpu, at.time, at.time)
      count(.loads, lane: lane, cpu: at.cpu, at.time)
      marks.add(
        .load(lane: lane, cpu: at.cpu, isImplied: isImplied), from: at.time, to: at.time)
    case .put(let identity, let at, let isImplied):
      guard let lane = lane(identity) else { return }
      place(at.time)
      closeLoad(lane, at.time)
      marks.add(
        .put(lane: lane, cpu: at.cpu, isImplied: isImplied), from: at.time, to: at.time)
    case .trap(let identity, let at, let trap, let answer):
      guard let lane = lane(identity) else { return }
      place(at.time)
      count(.traps, lane: lane, cpu: at.cpu, at.time)
      marks.add(
        .trap(lane: lane, cpu: at.cpu, trap: trap, answer: answer), from: at.time, to: at.time)
    case .loss(let at, let since, let count):
      place(since)
      place(at.time)
      openGap(at, since: since)
      if let cpu = cpuLane(at.cpu) { cpuBins[cpu].add(.losses, at: slice(at.time)) }
      flag(.loss(cpu: at.cpu, count: count), at.time)
    case .finding(let rule, let level, let identity, let at):
      var lane: Int?
      if let identity { lane = self.lane(identity) }
      place(at.time)
      if let lane { vcpuBins[lane].add(.findings, at: slice(at.time)) }
      flag(.finding(rule: rule, level: level, lane: lane, cpu: at.cpu), at.time)
      let kind = [Rule.all.firstIndex(of: rule) ?? -1, level.rawValue]
      if surrounded.insert(kind).inserted { marks.surround(at.time) }
    }
  }

  private mutating func add(_ run: Run) {
    guard let lane = lane(run.vcpu) else { return }
    let end = max(run.enter, run.exit ?? run.enter)
    place(run.enter)
    place(end)
    if let gap = openGaps[run.cpu], run.enter >= gap.loss { closeGap(run.cpu, run.enter) }
    if let load = loads[lane], load.cpu == run.cpu { loads[lane]?.seen = max(load.seen, end) }
    let key = TimelineMark.run(
      lane: lane, cpu: run.cpu, ret: run.ret, ec: run.ec, entry: run.atEntry, exit: run.atExit)
    marks.add(key, from: run.enter, to: end, isOpen: run.exit == nil)
    let switches = run.atExit.bits.switchesKeys == .set
    count(.runs, lane: lane, cpu: run.cpu, run.enter)
    if switches { count(.switches, lane: lane, cpu: run.cpu, end) }
    // A hidden trap sets the bits somewhere between.
    let middle = run.enter + (end - run.enter) / 2
    let halves = [(run.atEntry.bits, run.enter, middle), (run.atExit.bits, middle, end)]
    for (bits, from, to) in halves where to > from {
      let (begin, stop) = (offset(from), offset(to))
      vcpuBins[lane].add(bits.state, from: begin, to: stop, shift: shift)
      if let cpu = cpuLane(run.cpu) {
        let keys: TimeBins.State =
          switch bits.switchesKeys {
          case .set: .set
          case .clear: .clear
          case .unknown: .unknown
          }
        cpuBins[cpu].add(keys, from: begin, to: stop, shift: shift)
      }
    }
  }

  /// The picture of everything added.
  public consuming func finish() -> TimelinePicture {
    for lane in loads.indices { closeLoad(lane, end) }
    for cpu in openGaps.keys.sorted() { closeGap(cpu, end) }
    var picture = TimelinePicture()
    picture.origin = (base ?? 0) << shift
    picture.sliceWidth = 1 << shift
    picture.begin = min(begin, end)
    picture.end = end
    for lane in vcpuBins.indices {
      vcpuBins[lane].settle(shift: shift)
      picture.vcpus.append((numbers.identities[lane], .init(slices: vcpuBins[lane].slices)))
    }
    for (cpu, lane) in cpuNumbers.sorted(by: { $0.key < $1.key }) {
      cpuBins[lane].settle(shift: shift)
      picture.cpus.append((cpu, .init(slices: cpuBins[lane].slices)))
    }
    picture.keys = marks.keys
    picture.marks = marks.marks.sorted { ($0.begin, $0.end, $0.mark) < ($1.begin, $1.end, $1.mark) }
    picture.whole = marks.whole(from: picture.begin, to: end)
    picture.flags = flags.sorted { ($0.begin, $0.mark) < ($1.begin, $1.mark) }
    picture.flagsLeftOut = flagsLeftOut
    picture.gaps = gaps.sorted { ($0.begin, $0.cpu) < ($1.begin, $1.cpu) }
    picture.lanesLeftOut = lanesLeftOut.count
    return picture
  }

  // MARK: Lanes

  private mutating func lane(_ identity: VCPUIdentity) -> Int? {
    if let known = numbers.find(identity) { return numbers.number(identity) == known ? known : nil }
    guard makeRoom() else {
      lanesLeftOut.insert(identity.thread ?? -1)
      return nil
    }
    vcpuBins.append(TimeBins(count: sliceCount))
    loads.append(nil)
    return numbers.number(identity)
  }

  private mutating func cpuLane(_ cpu: Int32) -> Int? {
    if let known = cpuNumbers[cpu] { return known }
    guard cpu >= 0, makeRoom() else { return nil }
    cpuNumbers[cpu] = cpuBins.count
    cpuBins.append(TimeBins(count: sliceCount))
    return cpuBins.count - 1
  }

  /// Halves the number of slices until one more lane fits.
  private mutating func makeRoom() -> Bool {
    let lanes = vcpuBins.count + cpuBins.count + 1
    guard lanes <= Self.laneLimit else { return false }
    while lanes * sliceCount > Self.sliceBudget {
      widen()
      sliceCount /= 2
      for i in vcpuBins.indices { vcpuBins[i].shrink(to: sliceCount) }
      for i in cpuBins.indices { cpuBins[i].shrink(to: sliceCount) }
    }
    return true
  }

  // MARK: Time

  private func offset(_ time: UInt64) -> UInt64 { time - ((base ?? 0) << shift) }
  private func slice(_ time: UInt64) -> Int { Int(offset(time) >> shift) }

  /// Makes the slices reach `time`.
  private mutating func place(_ time: UInt64) {
    begin = min(begin, time)
    end = max(end, time)
    guard base != nil else {
      base = time >> shift
      return
    }
    while let base {
      let first = begin >> shift
      if (end >> shift) - min(base, first) >= UInt64(sliceCount) {
        widen()
        continue
      }
      guard first < base else { return }
      for i in vcpuBins.indices { vcpuBins[i].moveUp(by: Int(base - first), shift: shift) }
      for i in cpuBins.indices { cpuBins[i].moveUp(by: Int(base - first), shift: shift) }
      self.base = first
      return
    }
  }

  private mutating func widen() {
    let odd = (base ?? 0) & 1 == 1
    for i in vcpuBins.indices { vcpuBins[i].double(offset: odd, shift: shift) }
    for i in cpuBins.indices { cpuBins[i].double(offset: odd, shift: shift) }
    base = base.map { $0 >> 1 }
    shift += 1
  }

  // MARK: Marks

  private mutating func count(_ what: TimeBins.Count, lane: Int, cpu: Int32, _ time: UInt64) {
    let i = slice(time)
    vcpuBins[lane].add(what, at: i)
    vcpuBins[lane].note(partner: cpu, at: i)
    guard let cpu = cpuLane(cpu) else { return }
    // A new lane may have widened the slices.
    cpuBins[cpu].add(what, at: slice(time))
    cpuBins[cpu].note(partner: Int32(lane), at: slice(time))
  }

  private mutating func flag(_ mark: TimelineMark, _ time: UInt64) {
    guard flags.count < Self.flagLimit, let key = marks.key(mark) else {
      flagsLeftOut += 1
      return
    }
    flags.append(PlacedMark(begin: time, end: time, mark: key))
  }

  /// A loss that names no pCPU may have been on any.
  private mutating func openGap(_ at: Moment, since: UInt64) {
    for cpu in at.cpu < 0 ? cpuNumbers.keys.sorted() : [at.cpu] {
      openGaps[cpu] = (min(openGaps[cpu]?.begin ?? since, since, at.time), at.time)
    }
  }

  private mutating func closeGap(_ cpu: Int32, _ time: UInt64) {
    guard let gap = openGaps.removeValue(forKey: cpu), let lane = cpuLane(cpu) else { return }
    cpuBins[lane].add(.unknown, from: offset(gap.begin), to: offset(time), shift: shift)
    if gaps.count < Self.flagLimit { gaps.append((cpu, gap.begin, time)) }
  }

  /// The vCPU is no longer loaded; `time` nil: nobody said when, and it was last seen there before.
  private mutating func closeLoad(_ lane: Int, _ time: UInt64?) {
    guard let load = loads[lane] else { return }
    loads[lane] = nil
    let stop = max(load.since, time ?? load.seen)
    vcpuBins[lane].add(.loaded, from: offset(load.since), to: offset(stop), shift: shift)
    if let cpu = cpuLane(load.cpu) {
      cpuBins[cpu].add(.loaded, from: offset(load.since), to: offset(stop), shift: shift)
    }
  }
}

extension EnableBits {
  fileprivate var state: TimeBins.State {
    guard isKnown else { return .unknown }
    return self == .clear ? .clear : self == .set ? .set : .differ
  }
}
