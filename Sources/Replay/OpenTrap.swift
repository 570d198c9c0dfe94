import Ptrauth

/// A ptrauth trap of which no event has told yet what became of it.
struct OpenTrap {
  var trap: PtrauthTrap
  /// Its kvm_exit.
  var at: Moment
  /// Of the instruction that trapped.
  var pc: UInt64
  /// The host save that its handler is taken to have made.
  var save: Moment?
  /// A load came since, which takes the bits away again.
  var isLoaded = false
}

// What a trap's handler does is told by others: by kvm_inject_undefined, or by the bits that the put or the next
// entry finds.
//
//     kvm_exit ── handler ── kvm_inject_undefined      an UNDEF: nothing was saved
//                        ├── put: bits set             enabled
//                        ├── entry: bits set           enabled
//                        └── entry: bits clear         not enabled, if it is the retry and no load came between
extension Replayer {
  /// - Parameter run: that took it; what it was entered with answers the trap before.
  mutating func openTrap(_ index: Int, _ trap: PtrauthTrap, _ run: OpenRun) {
    settleTrap(index, by: run)
    vcpus[index].openTrap = OpenTrap(trap: trap, at: run.exit ?? run.enter, pc: run.exitPC)
  }

  mutating func settleTrap(_ index: Int, _ answer: TrapAnswer) {
    guard let open = vcpus[index].openTrap.take() else { return }
    // Whether it was an UNDEF is known where those have an event: it was hit.
    let isTold = answer != .notEnabled || probesHit.contains(.injectUndefined)
    emit?(.trap(vcpus[index].identity, open.at, open.trap, answer: isTold ? answer : .unknown))
    switch answer {
    case .enabled: return
    case .unknown:
      if capabilities.samplesShadow, open.save != nil {
        vcpus[index].counters.bounds.upper.insert(.hostSaves)
      }
      return
    case .undefined:
      vcpus[index].waste.answered = nil
      if let begin = vcpus[index].interval.begin, begin.time < open.at.time {
        vcpus[index].interval.isRefused = true
      }
    case .notEnabled: break
    }
    if let save = open.save { takeBackSave(index, save) }
  }

  /// By the next run. A guest whose trap was not answered goes on with the instruction that trapped.
  mutating func settleTrap(_ index: Int, by run: OpenRun) {
    guard let open = vcpus[index].openTrap else { return }
    let feature = vcpus[index].state.feature
    switch run.entrySample?.switchesKeys {
    case .set: settleTrap(index, .enabled)
    // A vCPU without the feature gets an UNDEF in every generation.
    case .clear where !open.isLoaded && (feature == .none || feature == .partial):
      settleTrap(index, .undefined)
    case .clear
    where !open.isLoaded && generation?.trap == .reachesHost && run.entryPC == open.pc:
      settleTrap(index, .notEnabled)
    case .clear, .unknown, nil: settleTrap(index, .unknown)
    }
  }

  /// The handler did not answer: it is not taken to have saved.
  private mutating func takeBackSave(_ index: Int, _ save: Moment) {
    vcpus[index].counters.hostSaves -= min(1, vcpus[index].counters.hostSaves)
    if let cpu = cpus[save.cpu] {
      cpu.hostSaves -= min(1, cpu.hostSaves)
      if cpu.lastSaver?.at == save { cpu.lastSaver = nil }
    }
    let thread = threads[save.tid]
    if thread?.hostKeys.save?.at == save { thread?.hostKeys.save = nil }
    if vcpus[index].interval.saveUnused == save { vcpus[index].interval.saveUnused = nil }
    if let repeated = vcpus[index].interval.repeatedSave, repeated.at == save {
      vcpus[index].interval.repeatedSaves -= min(1, vcpus[index].interval.repeatedSaves)
      vcpus[index].interval.repeatedSave = nil
    }
  }
}
