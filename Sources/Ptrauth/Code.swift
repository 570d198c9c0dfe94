/// The code of one generation, function by function, as lines that each do one step. For v7 each
/// list is one hunk of "[PATCH v7 7/10] KVM: arm/arm64: context-switch ptrauth registers"; others
/// differ by their facts.
public struct Code: Sendable, Hashable {
  /// kvm_reset_vcpu, the slots only: sys_regs[] get reset_unknown().
  public var reset: [Line]
  /// kvm_arch_vcpu_load: preemption is off.
  public var load: [Line]
  /// __activate_traps, once per run.
  public var activateTraps: [Line]
  /// __guest_enter up to the ERET, once per pass.
  public var guestEnter: [Line]
  /// __guest_exit.
  public var guestExit: [Line]
  /// fixup_guest_exit at EL2, before the host runs; the guest is re-entered if it did anything.
  public var hypTrap: [Line]
  /// The host's handler of EC 0x09 and of EC 0x18 with a key register, after kvm_exit: another task
  /// may come in between any two lines.
  public var hostTrap: [Line]

  public init(
    reset: [Line], load: [Line], activateTraps: [Line], guestEnter: [Line], guestExit: [Line],
    hypTrap: [Line], hostTrap: [Line]
  ) {
    self.reset = reset
    self.load = load
    self.activateTraps = activateTraps
    self.guestEnter = guestEnter
    self.guestExit = guestExit
    self.hypTrap = hypTrap
    self.hostTrap = hostTrap
  }

  /// The handler enables and can be preempted before it does.
  public var trapIsPreemptible: Bool {
    hostTrap.contains { if case .enable = $0.step { true } else { false } }
  }
}

extension Generation {
  public var code: Code {
    Code(
      reset: lines([], Step.resetGuest),
      load: loadLines, activateTraps: [Line([], .writeHCR)], guestEnter: enterLines,
      guestExit: exitLines, hypTrap: hypLines,
      hostTrap: hostLines)
  }

  /// v7's last statement is kvm_arm_vcpu_ptrauth_setup_lazy: clear both bits of a vCPU that has
  /// ptrauth, touch no key.
  private var loadLines: [Line] {
    var lines = [Line([], .arrive)]
    if hasHostContextPointer { lines.append(Line([], .takeHostContext)) }
    switch (load, nestedBits) {
    case (.nothing, _): break
    case (.clears, _): lines.append(Line(.hasFeature, .disable))
    case (.sets, .unsupported): lines.append(Line(.hasFeature, enable))
    case (.sets, .fromGuest):
      lines.append(Line([.hasFeature, .notNested], enable))
      lines.append(Line([.hasFeature, .nested], .adoptNestedBits))
    }
    if hostSave == .everyLoad {
      lines += save([.hasFeature, load == .sets ? .shadowSet : []])
    }
    return lines
  }

  /// ptrauth_switch_to_guest: if either bit is set, all ten registers.
  private var enterLines: [Line] {
    guard guardReads != .none else { return [] }
    return (hostSave == .everyEntry ? save(guardCondition) : [])
      + lines(guardCondition, Step.restoreGuest)
  }

  /// ptrauth_switch_to_host.
  private var exitLines: [Line] {
    guard guardReads != .none else { return [] }
    return lines(guardCondition, Step.saveGuest) + lines(guardCondition, Step.restoreHost)
      + (exitSynchronizes ? [Line(guardCondition, .synchronize)] : [])
  }

  /// __hyp_handle_ptrauth, kvm_hyp_handle_ptrauth.
  private var hypLines: [Line] {
    guard trap == .handledAtHyp else { return [] }
    return (hostSave == .hypTrap ? save(.hasFeature) : [])
      + [Line(.hasFeature, enable), Line(.hasFeature, .enableHCR)]
  }

  /// kvm_arm_vcpu_ptrauth_trap: the bits first, then the keys; kvm_handle_ptrauth from 5.8 on.
  private var hostLines: [Line] {
    var lines: [Line] = []
    if trap == .reachesHost, featureTest != .never {
      lines.append(Line(.hasFeature, enable))
      if hostSave == .preemptibleTrap { lines += save(.hasFeature) }
    }
    if nestedBits == .fromGuest { lines.append(Line([.hasFeature, .nested], .injectNested)) }
    lines.append(Line(.lacksFeature, .injectUndefined))
    return lines
  }

  private var enable: Step { .enable(api: true, apk: true) }

  private var guardCondition: Conditions {
    switch guardReads {
    case .none: []
    case .shadow: .shadowSet
    case .live: .hcrSet
    }
  }

  /// __ptrauth_save_state of the host's context.
  private func save(_ when: Conditions) -> [Line] {
    [Line(when, hasHostContextPointer ? .readHostContext : .readOwnContext)]
      + lines(when, Step.saveHost)
  }

  /// One line for each of the ten registers, in the macros' order.
  private func lines(_ when: Conditions, _ step: (KeyRegister) -> Step) -> [Line] {
    KeyRegister.allCases.map { Line(when, step($0)) }
  }
}

extension Code {
  /// The code as one register sees it. No line's condition depends on what a register holds, and no
  /// step moves a value from one register to another: what happens to a register is decided
  /// by these lines alone, and what holds for every register by itself holds for the ten.
  public func seen(by register: KeyRegister) -> Code {
    func own(_ lines: [Line]) -> [Line] {
      lines.filter { $0.step.register == nil || $0.step.register == register }
    }
    return Code(
      reset: own(reset), load: own(load), activateTraps: own(activateTraps),
      guestEnter: own(guestEnter), guestExit: own(guestExit),
      hypTrap: own(hypTrap), hostTrap: own(hostTrap))
  }
}
