import Ptrauth

/// The whole system at one moment: vCPUs, pCPUs, and where every task is. Concrete: nothing is
/// unknown. Values of one key register stand for its whole class (``Setting/registerClasses``).
package struct Machine: Sendable {
  var vcpus: InlineArray<3, VCPUState>
  var threads = InlineArray<3, Thread>(repeating: Thread())
  var cpus: InlineArray<3, PCPUState>
  /// The task on each pCPU: a vCPU's thread, another host task, or -1 for the idle task.
  var current = InlineArray<3, Int8>(repeating: -1)

  init() {
    var vcpu = VCPUState(feature: .none, bits: .clear)
    vcpu.slots = .unwritten
    vcpus = InlineArray(repeating: vcpu)
    var cpu = PCPUState(live: .unwritten, hostSlots: HostSlots(.unwritten, isFresh: .clear))
    cpu.hcr = .clear
    cpus = InlineArray(repeating: cpu)
  }

  /// Everything at EL0 or not yet started, every pCPU idle.
  package init(_ setting: Setting) {
    self.init()
    for v in 0..<setting.features.count {
      vcpus[v].feature = setting.generation.effective(setting.features[v], on: setting.host)
      vcpus[v].number = v
      vcpus[v].slots = .guest(vcpu: v)
    }
  }

  /// The thread of one vCPU.
  struct Thread: Sendable, Hashable {
    var place = Place.userspace
    /// The host save of a trap is done, and the vCPU was not entered since.
    var hasSaved = false
    /// The pass under way switched keys on the way in.
    var hasSwitched = false
    /// kvm_reset_vcpu left preemption disabled.
    var leakedPreemption = false
  }

  /// How far the thread is; on no pCPU: it was switched out there.
  enum Place: Sendable, Hashable {
    /// At EL0, outside every ioctl.
    case userspace
    /// In KVM_RUN, between two passes: loaded and preemptible.
    case loop
    /// In the guest: preemption is off.
    case guest
    /// In the host's trap handler, before this line of it: preemptible.
    case handler(Int)
  }

  func isRunning(_ task: Int, _ setting: Setting) -> Bool {
    for c in 0..<setting.cpus where current[c] == Int8(task) { return true }
    return false
  }
}
