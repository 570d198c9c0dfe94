import Ptrauth

extension Fault {
  public static let all = enabling + switching + surroundings

  /// Who sets and clears API and APK, and when.
  private static let enabling = [
    Fault(
      "load-keeps-enable", "kvm_arch_vcpu_load does not clear API and APK", .loadClears,
      .staleEnable, in: .g2
    ) { $1.load.drop { $0 == .disable } },
    Fault(
      "migration-keeps-enable", "kvm_arch_vcpu_load clears only where the vCPU was loaded before",
      .loadClears, .staleEnable, in: .g2
    ) {
      $1.load.change {
        $0 == .disable
      } _: {
        $0.when.insert(.sameCPU)
      }
    },
    Fault(
      "enable-without-feature", "the trap handler does not ask vcpu_has_ptrauth",
      .featureGuards, .switchWithoutFeature, in: .g2
    ) {
      $1.hostTrap.drop { $0 == .injectUndefined }
      $1.hostTrap.change({ _ in true }) { $0.when.remove(.hasFeature) }
    }.with { $0.features = [.none, .both] },
    Fault(
      "api-without-apk", "the trap handler sets HCR_EL2.API only", .bitsEqual, .bitsDiffer, in: .g2
    ) {
      $1.hostTrap.change(\.isEnable) { $0.step = .enable(api: true, apk: false) }
      $1.hypTrap.change(\.isEnable) { $0.step = .enable(api: true, apk: false) }
    },
    Fault(
      "trap-while-enabled", "now and then HCR_EL2 lacks the bits that the shadow has",
      .hcrIsShadow, .trapWhileEnabled, in: .g2
    ) { $1.activateTraps.append(Line(.sometimes, .clearHCR)) },
    Fault(
      "hcr-without-shadow", "HCR_EL2 has both bits, whatever the shadow has", .guestRunsOnItsKeys,
      nil, in: .g2
    ) { $1.activateTraps.append(Line([], .setHCR)) }.with {
      $0.hidden =
        "a guest that is not trapped leaves no event, and no event samples HCR_EL2 in the CPU: the shadow "
        + "is as it should be"
    },
    Fault(
      "bits-cleared-in-pass", "the shadow is cleared while the guest runs", .guardsAgree,
      .missedHostRestore,
      in: .g2
    ) { $1.guestExit.insert(Line([], .disable), at: 0) },
    Fault(
      "nested-bits-leak",
      "a guest hypervisor's API and APK reach the shadow of a vCPU without the "
        + "feature: the host gets zeros for keys", .exitRestoresHost, .switchWithoutFeature, in: .g5
    ) { $1.load.append(Line(.nested, .addNestedBits)) }.with {
      $0.features = [.none]
      $0.isNested = true
    },
    Fault(
      "nested-bits-ignored", "a nested guest runs with both bits, whatever its hypervisor wrote",
      .bitsEqual, .nestedBitsDiffer, in: .g6
    ) {
      $1.load.change {
        $0 == .adoptNestedBits
      } _: {
        $0.step = .enable(api: true, apk: true)
      }
    }
    .with {
      $0.features = [.both]
      $0.isNested = true
    },
  ]

  /// The saves and restores.
  private static let switching = [
    Fault(
      "trap-skips-host-save", "the trap handler sets the bits and saves no key", .exitRestoresHost,
      .missedHostSave,
      in: .g2
    ) {
      $1.hostTrap.drop(\.isSaveHost)
      $1.hypTrap.drop(\.isSaveHost)
    },
    Fault(
      "load-skips-host-save", "kvm_arch_vcpu_load saves no key", .exitRestoresHost, nil, in: .g6
    ) { $1.load.drop(\.isSaveHost) }.with {
      $0.hidden =
        "without host_cpu_context the slots that the host's keys are saved to are per-CPU data, which no "
        + "probe reaches from its arguments"
    },
    Fault(
      "partial-host-save", "the host save leaves out APDBKEYHI_EL1", .exitRestoresHost,
      .missedHostSave, in: .g2
    ) {
      for path in [\Code.load, \.hostTrap, \.hypTrap] {
        $1[keyPath: path].drop { $0 == .saveHost(.apdbHi) }
      }
    },
    Fault(
      "save-before-enable", "the trap handler saves the host's keys first and enables last",
      .exitRestoresHost, .missedHostSave, in: .g2
    ) {
      guard let i = $1.hostTrap.firstIndex(where: { $0.step.isEnable }) else { return }
      $1.hostTrap.append($1.hostTrap.remove(at: i))
    }.with { $0.preempts = true },
    Fault(
      "stale-host-context", "vcpu->arch.host_cpu_context stays that of the first load",
      .exitRestoresHost, .staleHostContext, in: .g2
    ) {
      $1.load.change {
        $0 == .takeHostContext
      } _: {
        $0.when.insert(.noHostContext)
      }
    },
    Fault(
      "preemptible-host-save", "the host save is in the preemptible trap handler (again)",
      .exitRestoresHost, .preemptibleHostSave, in: .g3s
    ) {
      $0.hostSave = .preemptibleTrap
      $1 = $0.code
    }.with { $0.preempts = true },
    Fault(
      "exit-skips-guest-save", "guest exit does not save the guest's keys", .exitRestoresHost,
      .missedGuestSave,
      in: .g2
    ) { $1.guestExit.drop(\.isSaveGuest) }.with { $0.firstUse = .writeKey },
    Fault(
      "partial-guest-save", "guest exit does not save APGA", .exitRestoresHost, .missedGuestSave,
      in: .g2
    ) { $1.guestExit.drop { $0 == .saveGuest(.apgaLo) || $0 == .saveGuest(.apgaHi) } }
    .with { $0.firstUse = .writeKey },
    Fault(
      "enter-skips-restore", "guest enter does not load the guest's keys", .guestRunsOnItsKeys,
      .missedGuestRestore,
      in: .g2
    ) { $1.guestEnter.drop(\.isRestoreGuest) },
    Fault(
      "exit-skips-host-restore", "guest exit does not load the host's keys", .exitRestoresHost,
      .missedHostRestore, in: .g2
    ) { $1.guestExit.drop(\.isRestoreHost) }.with { $0.firstUse = .writeKey },
    Fault(
      "missing-isb", "no ISB after guest exit's writes of the host's keys", .exitRestoresHost, nil,
      in: .g3
    ) { $1.guestExit.drop { $0 == .synchronize } }.with {
      $0.era = .b
      $0.hidden = "an ISB leaves no event: only the code shows it"
    },
  ]

  /// kvm_reset_vcpu and what is shown to guest and userspace.
  private static let surroundings = [
    Fault(
      "reset-returns-early", "kvm_reset_vcpu refuses one feature of two by a bare return",
      .enteredWhileLoaded, .oneFeatureOnly, in: .g3
    ) { generation, _ in generation.resetCheck = .returnsEarly }.with { $0.features = [.partial] },
    Fault(
      "id-mask", "ID_AA64ISAR1_EL1 shows pointer authentication to every vCPU", .visibleWithFeature,
      nil, in: .g3
    ) { generation, _ in generation.idMask = .never }.with {
      $0.features = [.none]
      $0.hidden = "no event holds the value that an emulated read of an ID register returns"
    },
    Fault(
      "visible-key-registers", "ONE_REG shows the key registers of every vCPU", .visibleWithFeature,
      nil, in: .g3
    ) { generation, _ in generation.hidesKeyRegisters = false }.with {
      $0.features = [.none]
      $0.hidden = "KVM_GET_ONE_REG and KVM_SET_ONE_REG leave no event"
    },
  ]
}
