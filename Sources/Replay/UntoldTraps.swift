import Ptrauth
import Trace

/// Traps of a vCPU that an answered one should have prevented, unless a load came in between. A recorder turns its events
/// off one after another: that loads were recorded all the time, the vCPU's next one shows.
struct UntoldTraps {
  let trap: PtrauthTrap
  let exit: Moment
  let words: String
  var count: UInt64 = 1
}

extension Replayer {
  mutating func noteUntold(_ run: OpenRun, _ trap: PtrauthTrap, _ exit: Moment) {
    if vcpus[run.vcpu].untoldTraps == nil {
      vcpus[run.vcpu].untoldTraps = UntoldTraps(
        trap: trap, exit: exit, words: words(ret: run.ret, ec: run.ec) + ": " + words(trap))
    } else {
      vcpus[run.vcpu].untoldTraps?.count += 1
    }
  }

  /// At each kvm_arch_vcpu_load.
  mutating func tellTraps(_ index: Int) {
    guard let found = vcpus[index].untoldTraps else { return }
    vcpus[index].untoldTraps = nil
    let identity = vcpus[index].identity
    // A trap with an SError pending is not answered, and kvm_exit does not show that.
    log.add(.trapWhileEnabled, .suspected, vcpu: identity, at: found.exit, count: found.count) {
      (
        "the guest took \(words(found.trap)) after an earlier trap of the same load interval should have "
          + "enabled it", [Evidence(found.exit, "kvm_exit", found.words)]
      )
    }
    emit?(.finding(.trapWhileEnabled, .suspected, identity, found.exit))
  }

  /// At the end: what no later event decided.
  mutating func leaveUntold() {
    if vcpus.contains(where: { $0.arrival.unloaded != nil }) {
      undecided.note(.oneFeatureOnly, .ended)
    }
    if vcpus.contains(where: { $0.untoldTraps != nil }) {
      undecided.note(.trapWhileEnabled, .ended)
    }
  }
}
