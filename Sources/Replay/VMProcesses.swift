import Trace

/// Which process a VM belongs to, where the recorder does not tell (trace.dat and most texts have thread ids alone):
/// kvm_arch_vcpu_load fetched it. KVM lets only the process that made a VM run its vCPUs (kvm_vcpu_ioctl compares
/// kvm->mm).
struct VMProcesses {
  /// The recorder tells of each event's process.
  var areRecorded = false
  private var pids: [UInt64: Int32] = [:]
  private var makers: Set<Int32> = []

  /// The process with this address space, by the thread that made its first VM.
  mutating func pid(_ event: borrowing Event) -> Int32? {
    guard !areRecorded, let mm = event.hit.fields.mm, mm != 0,
      let maker = event.hit.fields.userspacePID, maker > 0
    else { return nil }
    if let known = pids[mm] { return known }
    // Two address spaces under one id: the first process has ended, and its id was given again.
    guard makers.insert(maker).inserted else { return nil }
    pids[mm] = maker
    return maker
  }
}
