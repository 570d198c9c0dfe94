import Ptrauth
import Trace

// What a load interval cost, when it is over.
extension Replayer {
  mutating func beginInterval(_ index: Int, _ load: LoadBehind) {
    vcpus[index].interval = LoadInterval()
    vcpus[index].interval.begin = load.at
    vcpus[index].interval.isImplied = load.isImplied
    vcpus[index].interval.isTainted = load.isTainted
    if generation?.hostSave == .everyLoad, vcpus[index].state.feature == .both {
      vcpus[index].interval.saveUnused = load.at
    }
  }

  mutating func endInterval(_ index: Int, _ at: Moment) {
    let interval = vcpus.interval(index)
    endObservation(index)
    // Without either event it is not known whether it ran.
    if let begin = interval.begin, capabilities.hasEntryAndExit {
      judgeWaste(of: interval, index, at)
      judgeSwitches(of: interval, since: begin, index, at)
      judgeUnusedSave(of: interval, index, at)
    }
    vcpus[index].interval = LoadInterval()
  }

  private mutating func judgeSwitches(
    of interval: LoadInterval, since begin: Moment, _ index: Int, _ at: Moment
  ) {
    guard interval.switchedPasses > 1, let first = interval.firstSwitched,
      let last = interval.lastSwitched
    else { return }
    let gaps = interval.switchedPasses - 1
    // The kernel's own APIA is consumed in every gap if it uses pointer authentication.
    let keys = configuration.kernelUsesPointerAuth == false ? 5 : 4
    log.add(
      .redundantSwitch, .proved, vcpu: vcpus[index].identity, at: last,
      cost: .redundantGap(keys: keys) * gaps, count: gaps
    ) {
      (
        "\(interval.switchedPasses) passes of one load interval switched keys; nobody used the "
          + "host's keys in between",
        [
          Evidence(begin, "kvm_arch_vcpu_load"),
          Evidence(first, "kvm_entry", "keys switched"),
          Evidence(last, "kvm_entry", "keys switched again"),
          Evidence(at, "kvm_arch_vcpu_put"),
        ]
      )
    }
  }

  private mutating func judgeUnusedSave(of interval: LoadInterval, _ index: Int, _ at: Moment) {
    guard let save = interval.saveUnused else { return }
    // Of a trap that no event has answered it is not known that it saved.
    if capabilities.samplesShadow, let open = vcpus[index].openTrap, open.save == save { return }
    let saver = generation?.hostSave == .everyLoad ? "kvm_arch_vcpu_load" : "host save"
    log.add(.redundantHostSave, .proved, vcpu: vcpus[index].identity, at: save, cost: .hostSave) {
      (
        "host keys were saved, and the load interval ended before a run could restore them",
        [
          Evidence(save, saver),
          Evidence(at, "kvm_arch_vcpu_put", "no switched run in between"),
        ]
      )
    }
  }
}
