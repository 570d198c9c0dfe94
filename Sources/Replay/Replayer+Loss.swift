import Observation
import Ptrauth
import Trace

// Losses are walls: what they may have touched is unknown afterwards.
extension Replayer {
  /// Events of one pCPU were lost between its previous event and now.
  mutating func lost(_ at: Moment, count: UInt64) {
    let (sum, overflow) = lostEvents[at.cpu, default: 0].addingReportingOverflow(count)
    lostEvents[at.cpu] = overflow ? .max : sum
    // A loss that names no pCPU may have been anywhere, any time before.
    let begin = cpus[at.cpu]?.beforeLast ?? firstTime ?? at.time
    emit?(.loss(at, since: min(begin, at.time), count: count))
    forget(at, since: begin, endsRuns: true)
  }

  /// Nobody wrote an event for a while before this one, though a task was running: the recorder may have been paused.
  @inline(never)
  mutating func noteSilence(before at: Moment) {
    guard eventCount > 0, at.time > lastTime else { return }
    silences.pass(from: lastTime, to: at.time)
    guard at.time - lastTime >= Silences.shortest, let busy = firstBusyCPU() else { return }
    silences.note(Silence(since: lastTime, until: at.time, busyCPU: busy))
    let anywhere = Moment(time: at.time, cpu: -1, tid: 0)
    emit?(.loss(anywhere, since: lastTime, count: 0))
    // A guest may have been in there all the while.
    forget(anywhere, since: lastTime, endsRuns: false)
  }

  /// The first on which a task is running: of those that an event reached since the last silence, and of guests.
  private mutating func firstBusyCPU() -> Int32? {
    var first = walls.guests.first(of: cpus)
    for number in cpus.reachedIDs where number < first ?? .max {
      if let cpu = cpus.all[number], isBusy(cpu) { first = number }
    }
    if first == nil { walls.idleCPUs.formUnion(cpus.takeReached()) }
    return first
  }

  private func isBusy(_ cpu: CPURecord) -> Bool {
    cpu.hasEvents
      && (cpu.inGuest != nil || capabilities.hasSchedSwitch && cpu.running != nil && !cpu.isIdle)
  }

  /// What events since `begin` on this pCPU (-1: on any) may have changed is unknown.
  ///
  /// - Parameter endsRuns: a run that was open there has no exit to come.
  mutating func forget(_ at: Moment, since begin: UInt64, endsRuns: Bool) {
    // What no event reached since the wall before is as that left it: losses are many where threads are.
    for number in at.cpu < 0 ? walls.takeIdleCPUs() + cpus.takeReached() : [at.cpu] {
      guard let cpu = cpus.all[number] else { continue }
      cpu.state = PCPUState()
      cpu.running = nil
      if at.cpu < 0 { walls.guests.add(number, cpu) }
    }
    walls.saverEra += 1
    // Runs that had ended, or were here, are as complete as they will be; one that is open on
    // another pCPU goes on.
    let lingering = endsRuns ? walls.runs.takeLost(on: at.cpu) : walls.runs.takeSilent()
    for tid in Set(threads.takeReached() + lingering).sorted() {
      threads[tid]?.fetched = nil
      guard let run = threads[tid]?.run else { continue }
      if run.exit != nil || endsRuns && (run.cpu == at.cpu || at.cpu < 0) {
        closeRun(tid)
      } else {
        threads[tid]?.run = run.afterWall
        // Its exit may be another run's.
        if !endsRuns { threads[tid]?.run?.entrySample = nil }
      }
    }
    withdrawn += pendingFindings.drop(from: begin, to: at.time).map(\.enter)
    refutations.forget(since: begin)
    contradictions.removeAll { $0.begin <= at.time && begin <= $0.end }
    nestedDifferences.removeAll { $0.given.at.time <= at.time && begin <= $0.enter.time }
    sawNested = true
    if let firstTime, at.time >= firstTime, at.time - firstTime >= SequenceBreaks.edge {
      lossesSeen += 1
    }
    // Any vCPU may have been here meanwhile.
    for index in vcpus.takeReached().sorted() { wall(index, since: begin) }
    _ = vcpus.takeReached()
    for tid in threads.takeReached() {
      guard let thread = threads.all[tid] else { continue }
      thread.sampleBeforeEntry = nil
      thread.isInKVMRun = nil
      thread.awaitsHandler = .unknown
      thread.wasSwitchedOut = false
      thread.isBornHere = false
      thread.handler = nil
      thread.outSince = nil
      thread.hostKeys.wall()
      if let run = thread.run { walls.runs.add(tid, on: run.cpu, isSilenced: !endsRuns) }
    }
  }

  /// Runs that waited for a trap to prove them will not get it.
  mutating func wall(_ index: Int, since begin: UInt64 = .max) {
    tellUnsaid(index, lostSince: begin)
    settleTrap(index, .unknown)
    endThrash(index)
    vcpus[index].waste.wall()
    vcpus[index].wall(min(begin, lastTime))
    forgetModel(index)
  }
}

extension OpenRun {
  /// The run with nothing left that leans on events before a loss.
  var afterWall: OpenRun {
    var run = self
    run.expected = .unknown
    run.load = nil
    run.windowStart = nil
    run.hypTraps = 0
    run.startsEnabled = false
    return run
  }
}
