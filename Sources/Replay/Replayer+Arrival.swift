import Ptrauth

/// How a vCPU came to run here.
struct Arrival {
  /// kvm_reset_vcpu was seen, and no run before it.
  var isReset = false
  /// Its first kvm_entry was at a kernel address: it did not begin at its reset vector.
  var beganInKernel = false
  var hasRun = false
  /// kvm_reset_vcpu was entered while it was loaded; and then put it.
  var reset: Moment?
  var putInReset: Moment?
  /// kvm_reset_vcpu put it, and no load was seen before it entered the guest. Whether loads are still recorded then, the
  /// next one shows, behind the put that belongs to it: without that, events are missing (``Replayer/broken(vcpu:)``).
  var unloaded: (put: Moment, entered: Moment)?

  mutating func notePut(_ at: Moment) {
    putInReset = reset?.tid == at.tid ? at : nil
    reset = nil
  }

  mutating func wall() {
    isReset = false
    beganInKernel = false
    hasRun = true
    reset = nil
    putInReset = nil
    unloaded = nil
  }
}

// vCPUs that userspace set up wrongly: one feature of two, or no keys.
extension Replayer {
  mutating func noteReset(_ index: Int, _ at: Moment, _ features: UInt64?) {
    if !vcpus[index].arrival.hasRun { vcpus[index].arrival.isReset = true }
    // It begins anew, and its keys with it.
    vcpus[index].arrival.beganInKernel = false
    vcpus[index].arrival.reset = vcpus[index].state.loadedOn == nil ? nil : at
    guard generation?.resetCheck == .returnsEarly, !configuration.generationIsWeak,
      let features, Feature(features: features) == .partial
    else { return }
    let identity = vcpus[index].identity
    log.add(.oneFeatureOnly, .suspected, vcpu: identity, at: at) {
      (
        "kvm_reset_vcpu was asked for one of the two ptrauth features: it returns with preemption "
          + "disabled",
        [Evidence(at, "kvm_reset_vcpu", "features=\(hex(features))")]
      )
    }
    emit?(.finding(.oneFeatureOnly, .suspected, identity, at))
  }

  /// At each kvm_entry.
  mutating func judgeArrival(_ index: Int, _ run: OpenRun) {
    if let put = vcpus[index].arrival.putInReset, put.tid == run.enter.tid,
      put.cpu == run.enter.cpu, probesHit.contains(.vcpuLoad)
    {
      vcpus[index].arrival.unloaded = (put, run.enter)
    }
    vcpus[index].arrival.putInReset = nil
    if !vcpus[index].arrival.hasRun {
      vcpus[index].arrival.hasRun = true
      // The upper half of the address space is the kernel's (TTBR1): no reset vector is there.
      vcpus[index].arrival.beganInKernel = vcpus[index].arrival.isReset && run.entryPC >> 63 == 1
    }
  }

  /// At each kvm_arch_vcpu_load.
  mutating func judgeUnloaded(_ index: Int) {
    defer { vcpus[index].arrival.unloaded = nil }
    guard let (put, entered) = vcpus[index].arrival.unloaded else { return }
    let identity = vcpus[index].identity
    log.add(.oneFeatureOnly, .suspected, vcpu: identity, at: entered) {
      (
        "kvm_reset_vcpu put the vCPU and did not load it again; the thread went on into the guest",
        [
          Evidence(put, "kvm_arch_vcpu_put", "inside kvm_reset_vcpu"),
          Evidence(entered, "kvm_entry", "no kvm_arch_vcpu_load in between"),
        ]
      )
    }
    emit?(.finding(.oneFeatureOnly, .suspected, identity, entered))
  }

  /// The first use of a vCPU that began in the middle of a guest kernel, all slots at the reset's value.
  ///
  /// A process of a guest whose kernel knows nothing of keys may execute pacga, which no kernel has to
  /// enable: only a kernel's own use says that keys were set.
  mutating func judgeMigratedKeys(_ run: OpenRun) {
    let index = run.vcpu
    guard vcpus[index].arrival.beganInKernel, let trap = run.trap, let exit = run.exit else {
      return
    }
    let isReset = run.resetSlots == 0x3ff
    if isReset, trap == .instruction, run.exitPC >> 63 == 0 { return }
    vcpus[index].arrival.beganInKernel = false
    if run.resetSlots != nil { exercise(.keysLostInMigration, index) }
    guard trap == .instruction, isReset, vcpus[index].state.feature == .both,
      generation?.trap == .reachesHost
    else { return }
    let identity = vcpus[index].identity
    log.add(.keysLostInMigration, .suspected, vcpu: identity, at: exit) {
      (
        "the vCPU began to run inside a guest kernel, and that kernel uses pointer authentication with "
          + "all ten slots as the reset left them: its keys did not come with it, or it never set any",
        [Evidence(exit, "kvm_exit", words(ret: run.ret, ec: run.ec) + ": its first use here")]
      )
    }
    emit?(.finding(.keysLostInMigration, .suspected, identity, exit))
  }
}
