import Ptrauth
import Trace

// Guest and host slots that hold the same key. Whose it was tells which way it went:
//
//     after a run      guest slot   host slot
//     before           G            H
//     guest's changed  H            H           the guest ran on the host's keys, and they were saved
//     host's changed   G            G           the host ran on the guest's keys, and they were saved
extension Replayer {
  mutating func judgeSharedKeys(
    _ index: Int, _ at: Moment, _ function: KernelFunction, _ run: OpenRun, _ guest: KeySlots,
    _ host: KeySlots
  ) {
    guard let exit = run.exit else { return }
    let before = vcpus[index].guestKeys
    let earlier = vcpus[index].keysAfterRun
    let process = vcpus[index].pid
    var (toGuest, toHost, unclear): (UInt16, UInt16, UInt16) = (0, 0, 0)
    var differ: UInt16 = 0
    for i in 0..<10 {
      let bit = UInt16(1) << UInt16(i)
      guard guest.isSame(i, as: host) else {
        differ |= bit
        continue
      }
      guard !guest.isZero(i), !guest.isReset(i) else { continue }
      if let before, !before.isSame(i, as: guest) {
        toGuest |= bit
      } else if let earlier, earlier.process == process, earlier.guest.isSame(i, as: guest),
        (earlier.differ | earlier.toHost) & bit != 0
      {
        toHost |= bit
      } else if let earlier, earlier.toGuest & bit != 0 {
        toGuest |= bit
      } else {
        unclear |= bit
      }
    }
    vcpus[index].keysAfterRun = KeysAfterRun(
      guest: guest, differ: differ, toGuest: toGuest, toHost: toHost, process: process)
    func report(_ rule: Rule, _ level: Finding.Level, _ keys: UInt16, _ statement: String) {
      let shared = KeyRegister.allCases.filter { keys >> UInt16($0.rawValue) & 1 == 1 }
      log.add(rule, level, vcpu: vcpus[index].identity, at: run.enter) {
        (
          statement + " (\(words(shared)))",
          [
            Evidence(run.enter, "kvm_entry", "shadow \(words(run.entrySample ?? .unknown))"),
            Evidence(exit, "kvm_exit", words(ret: run.ret, ec: run.ec)),
            Evidence(at, function.rawValue, "guest slot equals host slot: \(words(shared))"),
          ]
        )
      }
      emit?(.finding(rule, level, vcpus[index].identity, run.enter))
    }
    if toGuest != 0 {
      report(
        .missedGuestRestore, .proved, toGuest,
        "after the run the guest's slots hold the host's keys: the guest ran on them")
    }
    if toHost != 0 {
      report(
        .missedHostRestore, .proved, toHost,
        "the host's slots came to hold the guest's keys, which the run did not change: the host ran on "
          + "them when it saved its own")
    }
    if toGuest | toHost == 0, unclear != 0 {
      report(
        .missedGuestRestore, .suspected, unclear,
        "after the run the guest's slots hold the host's keys; whether the guest ran on the host's or the "
          + "host on the guest's was not recorded")
    }
  }
}
