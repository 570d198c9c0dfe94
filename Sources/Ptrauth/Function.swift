// Whole functions, for who sees only that one was called: a recording. What is not known stays
// unknown: a line whose condition is unknown may have run or not, and both are joined.

extension [Line] {
  /// Runs the lines in order, nothing coming in between.
  ///
  /// - Parameter strikes: lines that run now and then (``Conditions/sometimes``) run this time.
  public func run(
    _ v: inout VCPUState, on c: inout PCPUState, at cpu: Int32, strikes: Bool = true
  ) {
    for line in self {
      // On its own pCPU: nothing came between the function's reading of the context and its use.
      var context = c.hostSlots
      line.run(&v, on: &c, at: cpu, context: &context, strikes: strikes)
      if case .saveHost = line.step { c.hostSlots = context }
    }
    v.context = nil
  }
}

extension Line {
  /// Takes its step if its conditions hold; where that is unknown, it may have been taken or not.
  ///
  /// - Parameters:
  ///   - context: the host slots that the vCPU's function has in hand, this pCPU's or another's: only a save
  ///     changes them.
  ///   - strikes: ``Conditions/sometimes`` is now.
  package func run(
    _ v: inout VCPUState, on c: inout PCPUState, at cpu: Int32, context: inout HostSlots,
    strikes: Bool
  ) {
    guard strikes || !when.contains(.sometimes) else { return }
    switch when.hold(v, on: c) {
    case .set: step.perform(&v, on: &c, at: cpu, context: &context)
    case .clear: break
    case .unknown:
      var (thenV, thenC, thenContext) = (v, c, context)
      step.perform(&thenV, on: &thenC, at: cpu, context: &thenContext)
      v.join(thenV)
      c.join(thenC)
      context.join(thenContext)
    }
  }
}

extension Code {
  /// kvm_reset_vcpu after KVM_ARM_VCPU_INIT.
  public func reset(_ v: inout VCPUState) {
    v.bits = .clear
    v.enableInFlight = false
  }

  /// kvm_arch_vcpu_load in a thread of `process`, whose keys are in the registers.
  public func load(_ v: inout VCPUState, on cpu: Int32, _ c: inout PCPUState, process: Int32) {
    c.live = .host(process: process)
    load.run(&v, on: &c, at: cpu)
    if v.enableInFlight, trapIsPreemptible {
      // A handler that was under way over the load may still enable.
      var (thenV, thenC) = (v, c)
      hostTrap.run(&thenV, on: &thenC, at: cpu)
      v.bits.join(thenV.bits)
    }
  }

  /// kvm_arch_vcpu_put: nothing about keys; the shadow keeps its bits.
  public func put(_ v: inout VCPUState) {
    v.previouslyOn = v.loadedOn
    v.loadedOn = nil
  }

  /// One __guest_enter in a thread of `process`.
  public func guestEnter(_ v: VCPUState, vcpu: Int, _ c: inout PCPUState, process: Int32) {
    var v = v
    v.slots = .guest(vcpu: vcpu)
    c.live = .host(process: process)
    activateTraps.run(&v, on: &c, at: 0)
    guestEnter.run(&v, on: &c, at: 0)
  }

  /// __guest_exit. Whose keys the host gets is whoever saved last.
  public func guestExit(_ v: VCPUState, _ c: inout PCPUState, process: Int32) {
    var v = v
    c.hcr = v.bits
    guestExit.run(&v, on: &c, at: 0)
  }

  /// A ptrauth trap was answered, by the host's handler or at EL2, in a thread of `process`.
  public func trap(_ v: inout VCPUState, _ c: inout PCPUState, process: Int32) {
    c.live = .host(process: process)
    hypTrap.run(&v, on: &c, at: 0)
    hostTrap.run(&v, on: &c, at: 0)
  }

  /// __switch_to: the next task's keys are installed.
  public func taskSwitch(_ c: inout PCPUState, to process: Int32) {
    c.live = process < 0 ? .unknown : .host(process: process)
  }
}

// MARK: What may be either of two

extension Bit {
  mutating func join(_ other: Bit) { if self != other { self = .unknown } }
  var opposite: Bit {
    switch self {
    case .clear: .set
    case .set: .clear
    case .unknown: .unknown
    }
  }
}

extension EnableBits {
  mutating func join(_ other: EnableBits) {
    api.join(other.api)
    apk.join(other.apk)
  }
}

extension VCPUState {
  mutating func join(_ other: VCPUState) {
    bits.join(other.bits)
    if slots != other.slots { slots = .unknown }
    if hostContext != other.hostContext { hostContext = nil }
    if context != other.context { context = nil }
  }
}

extension HostSlots {
  mutating func join(_ other: HostSlots) {
    if keys != other.keys { keys = .unknown }
    isFresh.join(other.isFresh)
  }
}

extension PCPUState {
  mutating func join(_ other: PCPUState) {
    if live != other.live { live = .unknown }
    hostSlots.join(other.hostSlots)
    hcr.join(other.hcr)
    isUnsynchronized = isUnsynchronized || other.isUnsynchronized
  }
}
